"""Conv2d: one kernel, shared by all positions (PyTorch's cross-correlation)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray
from .base import AxisLink, Connection, Fans, Kernel, Wiring, nonzero


@dataclass(frozen=True, eq=False)
class Conv2d(Connection):
    """PyTorch's cross-correlation. weight [O, I/groups, kH, kW]; in_shape (I, H, W), out_shape
    (O, H', W').

    A Linear on tokens is a 1x1 convolution over (C, N, 1); pooling has unit weights and groups = C.
    """

    storage = "kernel"

    weight: IntArray
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def weights(self) -> IntArray:
        """[O, I/groups, kH, kW]."""
        return self.weight

    @property
    def synapses(self) -> int:
        """The border is counted as the middle."""
        return int(self.weight.size) * prod(self.out_shape[1:])

    def faults(self, pre: int, post: int) -> Iterator[str]:
        """The geometry maps in_shape to out_shape."""
        if self.weight.ndim != 4 or 0 in self.weight.shape:
            yield f"weight {self.weight.shape} is not [O, I/groups, kH, kW]"
            return
        least = min(*self.stride, *self.dilation, self.groups, *self.in_shape, *self.out_shape)
        if least < 1 or min(self.padding) < 0:
            yield "stride, dilation, groups and shapes must be at least 1, padding at least 0"
            return
        out, per_group, *kernel = self.weight.shape
        if out % self.groups or per_group * self.groups != self.in_shape[0]:
            yield (
                f"weight {self.weight.shape} with {self.groups} group(s) takes "
                f"{per_group * self.groups} channels, in_shape is {self.in_shape}"
            )
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                self.in_shape[1:], self.padding, self.dilation, kernel, self.stride, strict=True
            )
        ]
        if self.out_shape != (out, *size):
            yield (
                f"makes ({out}, {size[0]}, {size[1]}) of {self.in_shape}, but out_shape is "
                f"{self.out_shape}"
            )
        if prod(self.in_shape) != pre or prod(self.out_shape) != post:
            yield (
                f"maps {self.in_shape} to {self.out_shape}, but has {pre} neurons before and "
                f"{post} after"
            )

    def matrix(self) -> sparse.csr_matrix:
        """One (post, pre, weight) triple per kernel entry that lands inside the padded input."""
        out_ch, in_per_group, kh, kw = self.weight.shape
        (channels, height, width), (_, out_h, out_w) = self.in_shape, self.out_shape
        o, i, a, b, y, x = np.meshgrid(
            *(np.arange(n) for n in (out_ch, in_per_group, kh, kw, out_h, out_w)), indexing="ij"
        )
        row = y * self.stride[0] - self.padding[0] + a * self.dilation[0]
        col = x * self.stride[1] - self.padding[1] + b * self.dilation[1]
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        channel = (o // (out_ch // self.groups)) * in_per_group + i
        post = (o * out_h + y) * out_w + x
        pre = (channel * height + row) * width + col
        weight = np.broadcast_to(self.weight[:, :, :, :, None, None], o.shape)
        keep = inside & (weight != 0)
        shape = (out_ch * out_h * out_w, channels * height * width)
        return sparse.csr_matrix((weight[keep], (post[keep], pre[keep])), shape=shape)

    def value_bounds(self, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Border neurons get the bounds of inner ones, which see more inputs."""
        kernel = self.weight.reshape(len(self.weight), -1)
        per_channel = (np.maximum(kernel, 0).sum(1), np.minimum(kernel, 0).sum(1))
        up, down = (np.repeat(v, self.out_shape[1] * self.out_shape[2]) for v in per_channel)
        return up * low + down * high, up * high + down * low

    def rows(self, wanted: IntArray, pre: int) -> sparse.csr_matrix:
        """[wanted, kernel entries], of which those that land inside the image stay."""
        out_ch, in_per_group, kh, kw = self.weight.shape
        _, height, width = self.in_shape
        o, pixel = np.divmod(wanted, self.out_shape[1] * self.out_shape[2])
        y, x = np.divmod(pixel, self.out_shape[2])
        i, a, b = (k.ravel() for k in np.indices((in_per_group, kh, kw)))
        row = y[:, None] * self.stride[0] - self.padding[0] + a * self.dilation[0]
        col = x[:, None] * self.stride[1] - self.padding[1] + b * self.dilation[1]
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        channel = (o // (out_ch // self.groups))[:, None] * in_per_group + i
        at = (channel * height + row) * width + col
        weight = self.weight.reshape(out_ch, -1)[o]
        post, _ = np.nonzero(inside)
        return sparse.csr_matrix(
            (weight[inside], (post, at[inside])), shape=(len(wanted), pre), dtype=np.int64
        )

    def fan_in(self, pre: int) -> Callable[[IntArray], Fans]:
        """Windows of the image by weights of the kernel."""
        present = self.weight != 0
        out_pixels = self.out_shape[1] * self.out_shape[2]
        last: dict[bytes, IntArray] = {}  # tiles of one population share their channels

        def counts(channels: IntArray) -> IntArray:
            key = channels.tobytes()
            if key not in last:
                last.clear()
                last[key] = _kernel_counts(self, present, channels)
            return last[key]

        def into(post: IntArray) -> Fans:
            channel, pixel = np.divmod(post, out_pixels)
            field = np.zeros((prod(self.in_shape[1:]), self.in_shape[0]), dtype=np.int64)
            for channels, pixels in _same_pixels(channel, pixel):
                field += _windows(self, pixels) @ counts(channels).T
            return nonzero(field.T.ravel())

        return into

    def mean_fan_in(self, post: int) -> float:
        """Borders ignored."""
        taps = prod(self.weight.shape[1:])
        inside = prod(self.in_shape[1:]) * prod(self.stride) / prod(self.out_shape[1:])
        return float(min(taps, taps * max(inside, 1)))

    def kernel(self) -> Kernel:
        """One per out channel."""
        channels, *each = self.weight.shape
        met = prod(each[1:]) * channels // self.groups
        return Kernel(channels, prod(each), prod(self.out_shape[1:]), met, self.groups)

    def wiring(self) -> Wiring:
        """Rows and columns meet through the window, channels through the groups."""
        links = [
            AxisLink(axis, axis, _reach(self, axis - 1))
            for axis in (1, 2)
            if self.in_shape[axis] > 1 or self.out_shape[axis] > 1
        ]
        if self.groups > 1:
            group_in = np.arange(self.in_shape[0]) // self.weight.shape[1]
            group_out = np.arange(self.out_shape[0]) // (self.out_shape[0] // self.groups)
            links.append(AxisLink(0, 0, group_in[:, None] == group_out))
        return Wiring(self.in_shape, self.out_shape, tuple(links), channels=0)


def _reach(c: Conv2d, axis: int) -> NDArray[np.bool_]:
    """Rows (axis 0) or columns (axis 1) of the input that reach those of the output."""
    taps = np.arange(c.weight.shape[2 + axis]) * c.dilation[axis] - c.padding[axis]
    at = np.arange(c.out_shape[1 + axis])[:, None] * c.stride[axis] + taps
    out: NDArray[np.bool_] = (np.arange(c.in_shape[1 + axis])[:, None, None] == at[None]).any(
        axis=2
    )
    return out


def _same_pixels(channel: IntArray, pixel: IntArray) -> list[tuple[IntArray, IntArray]]:
    """(channels, pixels) groups: channels that have exactly the same pixels go together."""
    order = np.lexsort((pixel, channel))
    channel, pixel = channel[order], pixel[order]
    channels, starts = np.unique(channel, return_index=True)
    groups: dict[bytes, tuple[list[int], IntArray]] = {}
    for o, pixels in zip(channels.tolist(), np.split(pixel, starts[1:]), strict=True):
        groups.setdefault(pixels.tobytes(), ([], pixels))[0].append(o)
    return [(np.array(members, dtype=np.int64), pixels) for members, pixels in groups.values()]


def _kernel_counts(c: Conv2d, present: NDArray[np.bool_], channels: IntArray) -> IntArray:
    """[in channels, kernel entries]: how many of the out channels have a weight there."""
    out_per_group, in_per_group = c.weight.shape[0] // c.groups, c.weight.shape[1]
    entries = present.shape[2] * present.shape[3]
    if c.groups == 1:
        together: IntArray = present[channels].sum(axis=0, dtype=np.int64)
        return together.reshape(-1, entries)
    counts = np.zeros((c.groups, in_per_group, entries), dtype=np.int64)
    group = channels // out_per_group
    np.add.at(counts, group, present[channels].reshape(len(channels), in_per_group, entries))
    return counts.reshape(-1, entries)


def _windows(c: Conv2d, pixels: IntArray) -> sparse.csr_matrix:
    """[in pixels, kernel entries]: 1 where an out pixel meets the in pixel through that entry."""
    kh, kw = c.weight.shape[2:]
    _, height, width = c.in_shape
    a, b = np.divmod(np.arange(kh * kw, dtype=np.int64), kw)
    y, x = np.divmod(pixels[:, None], c.out_shape[2])
    row = y * c.stride[0] - c.padding[0] + a * c.dilation[0]
    col = x * c.stride[1] - c.padding[1] + b * c.dilation[1]
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    _, entry = np.nonzero(inside)
    at = (row[inside] * width + col[inside], entry)
    ones = np.ones(entry.size, dtype=np.int64)
    return sparse.csr_matrix((ones, at), shape=(height * width, kh * kw))
