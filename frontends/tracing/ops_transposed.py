"""Transposed convolutions: one convolution for each place in the stride, interleaved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor, fx

from ..neurons.refusal import Refusal
from .emitter import Array, Emitter, Stream, array, no_time
from .ops_select import taken
from .ops_view import reordered
from .rules import result_shape


@dataclass(frozen=True)
class Axis:
    """One axis: y[stride m + a] = sum over t of w[t] x[m + (a + padding - dilation t) / stride].

    Only the taps t count where the division leaves nothing.
    """

    size: int
    stride: int
    padding: int
    dilation: int
    length: int
    out: int

    @property
    def taps(self) -> list[tuple[int, int, int]]:
        """(a, t, offset of x from m) of everything that counts."""
        found = []
        for a, t in product(range(self.stride), range(self.size)):
            offset, rest = divmod(a + self.padding - self.dilation * t, self.stride)
            if rest == 0:
                found.append((a, t, offset))
        return found

    @property
    def count(self) -> int:
        """Values of m."""
        return -(-self.out // self.stride)

    @property
    def reach(self) -> tuple[int, int]:
        """Least and greatest offset."""
        offsets = [offset for _, _, offset in self.taps]
        return min(offsets), max(offsets)

    @property
    def index(self) -> list[int]:
        """The input with its zeros around it, so that a window without padding fits."""
        least, most = self.reach
        return [i if 0 <= i < self.length else -1 for i in range(least, self.count + most)]


def transposed(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    weight: Tensor,
    bias: Any,
    geometry: tuple[Sequence[int], Sequence[int], Sequence[int], int],
    conv: Any,
) -> Stream:
    """y = conv_transpose(x): a convolution of more channels, whose pixels are then put in order.

    geometry  stride, padding, dilation, groups;  conv  adds a convolution without padding
    """
    stride, padding, dilation, groups = geometry
    kernel = array(weight)
    rank = kernel.ndim - 2
    for dim in range(1, len(x.dims.axes)):
        no_time(x, dim, "a transposed convolution over the time axis")
    if rank not in (1, 2) or len(x.dims.axes) != rank + 2:
        raise Refusal("SFX-E103", f"a {rank}-D transposed convolution", "use 1-D or 2-D ones")
    x, out = e.plain(x), result_shape(node)[2:]
    given = zip(kernel.shape[2:], stride, padding, dilation, x.dims.shape[2:], out, strict=True)
    axes = [Axis(*(int(v) for v in values)) for values in given]
    for i, axis in enumerate(axes, start=2):
        x = taken(e, x, i, axis.index, "pads")
    made = conv(e, x, _phases(kernel, axes, groups), _repeated(bias, kernel, axes, groups), groups)
    return _interleaved(e, made, axes, out)


def _phases(kernel: Array, axes: Sequence[Axis], groups: int) -> Array:
    """[O strides, I / groups, windows] of a transposed kernel [I, O / groups, ...]."""
    inner, per_group, *_ = kernel.shape
    strides = [a.stride for a in axes]
    windows = [a.reach[1] - a.reach[0] + 1 for a in axes]
    made = np.zeros((groups, per_group, *strides, inner // groups, *windows), kernel.dtype)
    grouped = kernel.reshape(groups, inner // groups, per_group, *kernel.shape[2:])
    for taps in product(*(a.taps for a in axes)):
        places = tuple(a for a, _, _ in taps)
        at = tuple(offset - a.reach[0] for a, (_, _, offset) in zip(axes, taps, strict=True))
        t = tuple(t for _, t, _ in taps)
        whole = slice(None)
        source: Any = (whole, whole, whole, *t)
        target: Any = (whole, whole, *places, whole, *at)
        made[target] += grouped[source].swapaxes(1, 2)  # [g, O / g, I / g]
    return made.reshape(-1, inner // groups, *windows)


def _repeated(bias: Any, kernel: Array, axes: Sequence[Axis], groups: int) -> Array | None:
    if not isinstance(bias, Tensor):
        return None
    return np.repeat(array(bias), int(np.prod([a.stride for a in axes])))


def _interleaved(e: Emitter, x: Stream, axes: Sequence[Axis], out: Sequence[int]) -> Stream:
    """[B, O strides, counts] -> [B, O, out]: each place in its row and column."""
    lead, counts = x.dims.axes[0], [a.count for a in axes]
    strides = [a.stride for a in axes]
    channels = x.dims.shape[1] // int(np.prod(strides))
    n = len(axes)
    apart = [lead, (channels,), *((s,) for s in strides), *((c,) for c in counts)]
    x = e.view(x, x.dims.with_axes(apart))
    order = [0, 1]
    for i in range(n):
        order += [2 + n + i, 2 + i]
    x = reordered(e, x, order)
    wide = [c * s for c, s in zip(counts, strides, strict=True)]
    x = e.view(x, x.dims.with_axes([lead, (channels,), *((w,) for w in wide)]))
    for i, length in enumerate(out, start=2):
        x = taken(e, x, i, range(length), "cuts")
    return x
