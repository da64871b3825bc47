"""Collects NIR nodes and edges while a traced graph is walked; knows names, shapes and modules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...toolchain.formats.nir import ext
from ...toolchain.ground.errors import Problem
from ..neurons.refusal import Refusal
from .calls import TracedCalls
from .dims import Dims, Shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Stream:
    """A traced tensor that depends on the input.

    name    NIR node that computes it, one value of shape `dims.step_shape` per step
    dims    where T and B are among the tensor's axes
    reduce  None while it has a time axis; 'mean', 'sum', 'max' or 'weighted' once the steps were
            reduced
    weights  of the steps: those of a weighted sum, or factors by which the steps were multiplied
             and that a sum over them is to use
    step    where the model takes single steps out of the stream: which one this is
    """

    name: str
    dims: Dims
    reduce: str | None = None
    step: int | None = None
    weights: tuple[float, ...] = ()

    @property
    def shape(self) -> Shape:
        """Shape at one step."""
        return self.dims.step_shape


class Emitter:
    """NIR nodes so far, and where in the model the walk is (`path`, `leaf`)."""

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.sources: dict[str, tuple[str, ...]] = {}
        self.path = ""
        self.leaf = False
        self.problems: list[Problem] = []
        self.fed: dict[str, str] = {}
        """Neuron that is run step by step -> what feeds it."""
        self.stateless: dict[tuple[int, str], str] = {}
        """(neuron without a state, what feeds a single step of it) -> its node."""
        self.fires = False
        """Whether there is a neuron."""
        self.membranes: set[str] = set()
        """Neurons that never fire and whose membrane is read."""
        self.traced_calls: dict[str, TracedCalls] = {}
        """Neuron -> the calls of its module that it stands for."""
        self.gathers: dict[tuple[str, int, tuple[int, ...]], str] = {}
        """What was chosen of a node -> the node that does it."""
        self.joins: dict[tuple[str, ...], str] = {}
        """Parts of a concatenation -> the node that joins them."""
        self.written: dict[str, tuple[str, Tensor]] = {}
        """Node that was written over by constants -> what it was before, and the constants."""
        self.repeats = False
        """Whether the model repeats its input over the steps itself (export(input_layout="B"))."""

    # --- nodes ---

    def add(self, node: nir.NIRNode, op: str, *sources: str, main: bool = False) -> str:
        """Append a node fed by `sources`; returns its name, made of the module's path and `op`.

        main  the op a leaf module is there for: it is named like the module
        """
        if main and self.leaf:
            base = self.path
        else:
            base = f"{self.path}.{op}" if self.path else op
        name, i = base.replace("/", "_"), 1
        while name in self.nodes:
            i += 1
            name = f"{base}_{i}"
        self.nodes[name] = ext.with_facts(node, module=self.path) if self.path else node
        feeds: list[str] = []
        for source in sources:
            if source in feeds:  # NIR has no double edge: pass through a node of its own
                source = self.add(ext.junction(self._shape(source)), "again", source)
            feeds.append(source)
        self.sources[name] = tuple(feeds)
        self.edges += [(source, name) for source in feeds]
        return name

    def _shape(self, name: str) -> Shape:
        return tuple(int(n) for n in self.nodes[name].output_type["output"])

    def reshape(self, name: str, before: Shape, after: Shape) -> str:
        """`name` under another shape; nothing is added where it is the same."""
        made = self.nodes[name]
        if before != after and isinstance(made, ext.Reshape):  # two in a row are one
            (name,), before = self.sources[name], made.input_shape
        return name if before == after else self.add(ext.Reshape(before, after), "reshape", name)

    def permute(self, name: str, shape: Shape, order: tuple[int, ...]) -> str:
        """`name` with its axes reordered."""
        made = self.nodes[name]
        if isinstance(made, ext.Permute):  # two in a row are one
            order = tuple(made.order[i] for i in order)
            (name,), shape = self.sources[name], made.input_shape
        if order == tuple(range(len(order))):
            return name
        after = tuple(shape[i] for i in order)
        if [i for i in order if shape[i] > 1] == sorted(i for i in order if shape[i] > 1):
            return self.reshape(name, shape, after)  # only axes of length 1 move
        return self.add(ext.Permute(shape, order), "permute", name)

    def expand(self, name: str, before: Shape, after: Shape) -> str:
        """`name` broadcast; axes may be missing on the left."""
        full = (1,) * (len(after) - len(before)) + before
        name = self.reshape(name, before, full)
        return name if full == after else self.add(ext.Expand(full, after), "expand", name)

    def gather(self, name: str, shape: Shape, axis: int, index: Sequence[int]) -> str:
        """`name` with the elements `index` of one axis; one gather where it follows another."""
        made = self.nodes[name]
        chosen = tuple(index)
        if isinstance(made, ext.Gather) and made.axis > axis:  # in the order of the axes
            (source,) = self.sources[name]
            inner = self.gather(source, made.input_shape, axis, chosen)
            narrowed = (*made.input_shape[:axis], len(chosen), *made.input_shape[axis + 1 :])
            return self.gather(inner, narrowed, made.axis, made.index)
        if isinstance(made, ext.Gather) and made.axis == axis:
            chosen = tuple(made.index[i] if i >= 0 else -1 for i in chosen)
            (name,), shape = self.sources[name], made.input_shape
        key = (name, axis, chosen)
        if chosen == tuple(range(shape[axis])):
            return name
        if key not in self.gathers:  # the copies of a step choose the same
            self.gathers[key] = self.add(ext.Gather(shape, axis, chosen), "gather", name)
        return self.gathers[key]

    def scale(self, name: str, shape: Shape, factor: float | Array) -> str:
        """`name` times a constant (one number, or an array of `shape`)."""
        if np.all(np.asarray(factor) == 1.0):
            return name
        full = np.ascontiguousarray(np.broadcast_to(np.asarray(factor, np.float64), shape))
        return self.add(nir.Scale(full), "scale", name)

    def reduce_sum(self, name: str, shape: Shape, axes: Iterable[int]) -> str:
        """`name` summed over `axes`, which disappear."""
        axes = tuple(sorted(axes))
        kept = tuple(n for i, n in enumerate(shape) if i not in axes)
        if math.prod(shape[i] for i in axes) == 1:
            return self.reshape(name, shape, kept)
        return self.add(ext.ReduceSum(shape, axes), "reduce_sum", name)

    # --- streams ---

    def view(self, x: Stream, dims: Dims) -> Stream:
        """The same elements under other axes."""
        return replace(x, name=self.reshape(x.name, x.shape, dims.step_shape), dims=dims)

    def plain(self, x: Stream) -> Stream:
        """`x` whose axes but the first are all of the value at one step, in order."""
        return self.view(x, x.dims.plain())

    def held(self, x: Stream) -> Stream:
        """`x`, whose steps were reduced, as a value that every step of the sample has.

        A sum over the steps whose result meets the steps again is not the read-out: it is attention
        over time that is not causal.
        """
        if x.reduce is None or x.dims.steps == 1:
            return replace(x, reduce=None)
        if x.reduce not in ("sum", "mean"):
            needs_steps(x, "a value that every step reads")
        factor = 1.0 if x.reduce == "sum" else 1.0 / x.dims.steps
        name = self.add(ext.TimeSum(x.shape), "time_sum", x.name)
        return replace(x, name=self.scale(name, x.shape, factor), reduce=None)

    def group_sum(self, x: Stream) -> Stream:
        """The sum over the steps of each group, which every step of the group has.

        x  axes without the steps within a group, its values still those of single steps
        """
        made = ext.GroupSum(x.shape, x.dims.group)
        return replace(x, name=self.add(made, "group_sum", x.name))

    def as_mean(self, x: Stream) -> Stream:
        """`x` with a sum over the steps turned into T times their mean.

        An offset that is added later then counts once, not T times.
        """
        if x.reduce == "weighted":
            return self._unweighted(x)
        if x.reduce != "sum":
            return x
        return replace(x, name=self.scale(x.name, x.shape, x.dims.steps), reduce="mean")

    def _unweighted(self, x: Stream) -> Stream:
        """`x` whose weights of steps add up to 1, so that an offset added later counts once."""
        total = sum(x.weights)
        if abs(total - 1.0) <= 1e-12:
            return x
        if abs(total) <= 1e-9 * sum(map(abs, x.weights)):
            raise Refusal(
                "SFX-E104",
                "a constant is added to a sum of steps whose weights add up to 0",
                "add the constant before the steps are weighted, or leave it out",
            )
        weights = tuple(w / total for w in x.weights)
        return replace(x, name=self.scale(x.name, x.shape, total), weights=weights)


def array(tensor: Tensor) -> Array:
    """The tensor's values as float32 or float64 (NIR files hold no bfloat16)."""
    tensor = tensor.detach().cpu()
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    values: Array = np.ascontiguousarray(tensor.numpy())
    return values.copy()


REDUCED = {"mean": "mean", "sum": "sum", "max": "largest", "weighted": "weighted sum"}


def needs_steps(x: Stream, what: str) -> None:
    """Refuse an op that is not linear after the steps were reduced to one value."""
    if x.reduce is not None and x.dims.steps > 1:
        raise Refusal(
            "SFX-E104",
            f"{what} after the time steps were reduced to their {REDUCED[x.reduce]}",
            "reduce the steps (mean or sum over T) in the read-out only, after the last neuron",
        )


def no_time(x: Stream, index: int, what: str) -> None:
    """Refuse where tensor axis `index` holds several time steps."""
    if x.dims.times(index):
        raise Refusal("SFX-E104", f"{what} mixes time steps", CAUSAL)


CAUSAL = (
    "each step may only use the same step's values, a neuron's state, torch.cumsum(x, 0) over the "
    "time axis (causal attention: q @ cumsum(k^T v)), or the sample's total x.sum(0, keepdim=True) "
    "(not causal: q @ (k^T v).sum(0), or q @ (k^T v) over T*N tokens), of all steps or of "
    "groups of them (x.view(T // g, g, ...)); weights of the steps are those of a parallel spiking "
    "neuron (PSN), a module of its own"
)
