"""Fold what is chosen before and behind a layer into its weights, stride and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.check import output_shape
from ...ir.graph import (
    Conv2d,
    FloatArray,
    Gather,
    Graph,
    Linear,
    Node,
    Permute,
    Reshape,
    Shape,
    Sum,
    unused,
)
from .base import Condition
from .conditions import NO_BATCH_NORM
from .gathers import inputs, needed, with_pads

GROWTH = 4
"""A layer that reads all channels in place of some may have this many times the weights."""


@dataclass(frozen=True)
class FoldGathers:
    """Before: {a -> Gather(0..n, -1...), b -> Gather(-1..., 0..m)} -> Conv2d(W)

    After:  {a -> Conv2d(W[:, :n]), b -> Conv2d(W[:, n:])}

    Before: x -> Gather(-1, 0..n, -1) -> Conv2d;  x -> Conv2d -> Gather(0, 2, 4, ...)
    After:  x -> Conv2d(padding 1);               x -> Conv2d(stride 2)

    Before: x -> Gather(0, 0, 1, 1, ...) -> Conv2d(W)
    After:  x -> Conv2d(W of even places, W of odd places) -> views that interleave them

    Uneven padding becomes even by weights of 0. Exact in real numbers.
    """

    name: ClassVar[str] = "fold-gathers"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM,)
    ensures: ClassVar[tuple[Condition, ...]] = (
        Condition("no choice that a layer can take in", lambda graph: _first(graph) is None),
    )

    def run(self, graph: Graph) -> Graph:
        """The graph with every such choice folded."""
        while (changed := _first(graph)) is not None:
            graph = needed(changed)
        return graph


def _first(graph: Graph) -> Graph | None:
    if not graph.of_type(Gather):
        return None
    for node in graph.of_type(Conv2d, Linear):
        made = _channels(graph, node) or _plane(graph, node) or _behind(graph, node)
        if made is not None:
            gone = {n.name for n in made}
            return graph.with_nodes([*(n for n in graph if n.name not in gone), *made])
    return None


# --- channels -------------------------------------------------------------------------------


def _channels(graph: Graph, node: Node) -> list[Node] | None:
    """The layer as one for each value whose channels it reads."""
    op = node.op
    assert isinstance(op, Conv2d | Linear)
    names = node.producers
    if len(names) == 1 and isinstance(graph[names[0]].op, Sum):
        names = graph[names[0]].producers
    gathers = [graph[n].op for n in names]
    if not all(isinstance(v, Gather) and v.axis == 0 for v in gathers):
        return None
    if isinstance(op, Conv2d) and (op.groups > 1 or op.bias.ndim > 1):
        return None
    sources = [graph[n].inputs[0] for n in names]
    lengths = [graph[s[0]].shape[0] for s in sources]
    if sum(lengths) > GROWTH * op.weight.shape[1]:
        return None
    taken = {n.name for n in graph}
    made: list[Node] = []
    for i, (gather, source, n) in enumerate(zip(gathers, sources, lengths, strict=True)):
        assert isinstance(gather, Gather)
        own = _columns(op, gather, n, biased=i == 0)
        name = node.name if len(names) == 1 else unused(f"{node.name}.part{i}", taken)
        made.append(replace(node, name=name, op=own, inputs=(source,)))
    if len(names) == 1:
        return made
    ends = tuple(n.name for n in made)
    return [*made, replace(node, op=Sum(), inputs=(ends,))]


def _columns(op: Conv2d | Linear, gather: Gather, length: int, *, biased: bool) -> Conv2d | Linear:
    """The layer of `length` channels that does what `op` does behind the Gather."""
    places = [i for i, n in enumerate(gather.index) if n >= 0]
    if [gather.index[i] for i in places] == list(range(length)):
        return inputs(op, places, biased=biased)
    weight = np.zeros((len(op.weight), length, *op.weight.shape[2:]))
    for place in places:
        weight[:, gather.index[place]] += op.weight[:, place]
    return replace(op, weight=weight, bias=op.bias if biased else np.zeros_like(op.bias))


# --- rows and columns before a convolution --------------------------------------------------


def _plane(graph: Graph, node: Node) -> list[Node] | None:
    """The convolution with the padding, or the repetition, before it."""
    op = node.op
    if not isinstance(op, Conv2d) or len(node.producers) != 1:
        return None
    before = graph[node.producers[0]]
    if not isinstance(before.op, Gather) or before.op.axis == 0 or len(before.producers) != 1:
        return None
    axis, index = before.op.axis, before.op.index
    length = graph[before.producers[0]].shape[axis]
    edges = _edges(index, length)
    if edges is not None:
        if op.padding[axis - 1] and min(edges) < 0:  # its own zeros stand where that was cut off
            return None
        pads = [op.padding[axis - 1] + e for e in edges]
        folded = with_pads(op, axis, pads[0], pads[1])
        return None if folded is None else [replace(node, op=folded, inputs=before.inputs)]
    return _repeated(graph, node, before, length)


def _edges(index: Sequence[int], length: int) -> tuple[int, int] | None:
    """Zeros before and behind an axis that is kept; less than 0 where it is cut off."""
    inside = [i for i, n in enumerate(index) if n >= 0]
    if not inside or inside != list(range(inside[0], inside[-1] + 1)):
        return None
    first, last = index[inside[0]], index[inside[-1]]
    if [index[i] for i in inside] != list(range(first, last + 1)):
        return None
    zeros, cut = (inside[0], len(index) - 1 - inside[-1]), (first, length - 1 - last)
    if any(z and c for z, c in zip(zeros, cut, strict=True)):
        return None
    return zeros[0] - cut[0], zeros[1] - cut[1]


def _repeated(graph: Graph, node: Node, before: Node, length: int) -> list[Node] | None:
    """A convolution of repeated rows or columns, as one of those themselves.

    y[s m + a] = sum over t of w[t] x[m + floor((a + t - p) / s)]: one kernel for each a.
    """
    op, gather = node.op, before.op
    assert isinstance(op, Conv2d)
    assert isinstance(gather, Gather)
    axis = gather.axis
    times = len(gather.index) // length
    plain = op.stride[axis - 1] == op.dilation[axis - 1] == 1 and op.bias.ndim == 1
    if times < 2 or gather.index != tuple(i // times for i in range(length * times)) or not plain:
        return None
    if node.shape[axis] % times:
        return None
    kernels, least = _kernels(op, axis, times)
    count = node.shape[axis] // times
    right = count - 1 + least + kernels.shape[1 + axis] - 1 - (length - 1)
    bare = replace(op, weight=kernels, bias=np.repeat(op.bias, times))
    folded = with_pads(bare, axis, -least, right)
    if folded is None:
        return None
    source = graph[before.producers[0]].shape
    shape = output_shape(folded, source, source)
    return _interleaved(graph, node, (folded, before.inputs, shape), axis, times)


def _kernels(op: Conv2d, axis: int, times: int) -> tuple[FloatArray, int]:
    """[O times, ...] weights of each output's places, and the first input's offset."""
    size, pad = op.weight.shape[1 + axis], op.padding[axis - 1]
    least, most = -pad // times, (times - 1 + size - 1 - pad) // times
    shape = list(op.weight.shape)
    shape[1 + axis] = most - least + 1
    kernels = np.zeros((shape[0], times, *shape[1:]))
    for a in range(times):
        for t in range(size):
            at = (a + t - pad) // times - least
            into = np.moveaxis(kernels[:, a], 1 + axis, 0)
            into[at] += np.moveaxis(op.weight, 1 + axis, 0)[t]
    return kernels.reshape(shape[0] * times, *shape[1:]), least


def _interleaved(
    graph: Graph,
    node: Node,
    made: tuple[Conv2d, tuple[tuple[str, ...], ...], Shape],
    axis: int,
    times: int,
) -> list[Node]:
    """[O times, H, W] -> [O, ..., length times, ...], under the name of `node`."""
    op, sources, shape = made
    taken = {n.name for n in graph}
    names = [unused(f"{node.name}.{part}", taken) for part in ("phases", "apart", "moved")]
    apart = (shape[0] // times, times, *shape[1:])
    order = (0, 2, 1, 3) if axis == 1 else (0, 2, 3, 1)
    moved = tuple(apart[i] for i in order)
    return [
        replace(node, name=names[0], op=op, inputs=sources, shape=shape),
        Node(names[1], Reshape(), ((names[0],),), apart, node.module),
        Node(names[2], Permute(order), ((names[1],),), moved, node.module),
        replace(node, op=Reshape(), inputs=((names[2],),)),
    ]


# --- rows and columns behind a convolution --------------------------------------------------


def _behind(graph: Graph, node: Node) -> list[Node] | None:
    """The convolution with another stride and padding, where some of what it makes is read."""
    op = node.op
    readers = graph.consumers[node.name]
    if not isinstance(op, Conv2d) or len(readers) != 1 or op.bias.ndim > 1:
        return None
    reader = graph[readers[0][0]]
    gather = reader.op
    if not isinstance(gather, Gather) or gather.axis == 0 or reader.producers != (node.name,):
        return None
    steps = set(np.diff(gather.index).tolist()) or {1}
    step = steps.pop()
    if steps or step < 1 or gather.index[0] < 0:
        return None
    axis = gather.axis
    at = axis - 1
    stride = op.stride[at] * step
    left = op.padding[at] - gather.index[0] * op.stride[at]
    reach = op.dilation[at] * (op.weight.shape[1 + axis] - 1)
    length = graph[node.producers[0]].shape[axis]
    right = (len(gather.index) - 1) * stride + reach + 1 - length - left
    strides = (stride, op.stride[1]) if at == 0 else (op.stride[0], stride)
    folded = with_pads(replace(op, stride=strides), axis, left, right)
    if folded is None:
        return None
    return [replace(reader, op=folded, inputs=node.inputs)]
