"""Projections and contractions in torch: integer sums as float products that are proved exact.

A float32 product is exact while no sum reaches 2^24, a float64 product below 2^53, in any order of
addition; so the result does not depend on the device or on how it splits the work. Reduced
precision (TF32) is never used: `exact_matmul` refuses to run with it.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....toolchain.ground.errors import BackendError
from ....toolchain.ir.program import Conv2d, Dense, Sparse, Structured, View
from ..plan.contractions import Contraction, Reading
from ..plan.projections import PlannedProjection


def float_for(largest: int, where: str) -> torch.dtype:
    """The float type whose sums are exact. Raises BackendError (SFX-E544) if none is."""
    if largest < 1 << 24:
        return torch.float32
    if largest < 1 << 53:
        return torch.float64
    raise BackendError(
        "SFX-E544", f"sums reach {largest}, beyond 2^53", where=where, hint="run it on the CPU"
    )


def wrap(x: Tensor, bits: int) -> Tensor:
    """Two's complement wrap of int64 values."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


class DeviceProjection:
    """One projection: what pre sent [N, pre size] -> what post receives [N, post size] int64."""

    def __init__(self, name: str, planned: PlannedProjection, device: torch.device) -> None:
        self.planned, self.device = planned, device
        self.kind = float_for(planned.largest, name)
        self.connection, weight = planned.connection, planned.effective
        self.weight: Tensor | None = None
        match self.connection:
            case Conv2d() | Dense():
                self.weight = self._tensor(weight.reshape(len(weight), -1))
            case Sparse() as c:
                m = Sparse(c.indptr, c.indices, weight).matrix().tocoo()
                self.weight = torch.sparse_coo_tensor(
                    torch.from_numpy(np.stack([m.row, m.col]).astype(np.int64)),
                    torch.from_numpy(m.data.astype(np.float64)).to(self.kind),
                    (planned.post_size, planned.pre_size),
                    check_invariants=True,
                ).to(device)

    @property
    def work_bytes(self) -> int:
        """Memory of one step of one sample: inputs under the kernel, and the sums."""
        item = 4 if self.kind == torch.float32 else 8
        columns = self.planned.pre_size
        if isinstance(self.connection, Conv2d):
            kernel = self.connection.weight.shape[2] * self.connection.weight.shape[3]
            columns *= kernel
        return item * columns + (item + 24) * self.planned.post_size

    def _tensor(self, x: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.kind).to(self.device)

    def __call__(self, s: Tensor) -> Tensor:
        """The rule of `projections.PlannedProjection`, wraps included."""
        w = self.planned
        total = self._total(s if w.pre_view is None else _viewed(s, w.pre_view))
        if w.exponent > 0:
            total = wrap(total, 32) << w.exponent
        elif w.exponent < 0:
            total = wrap(total, 32) >> -w.exponent
        if w.wraps:
            total = wrap(total, w.bits)
        return total if w.post_view is None else _viewed(total, w.post_view)

    def _total(self, s: Tensor) -> Tensor:
        match self.connection:
            case Conv2d() as c:
                out = _conv(c, s.to(self.kind), self._weight)
            case Dense():
                out = exact_matmul(s.to(self.kind), self._weight.T)
            case Sparse():
                out = (self._weight @ s.to(self.kind).T).T
            case Structured() as c:
                return _structured(c, s.long()) * self.planned.weight
            case _:
                raise TypeError(f"no rule for {type(self.connection).__name__}")
        return out.long().reshape(len(s), -1)

    @property
    def _weight(self) -> Tensor:
        assert self.weight is not None
        return self.weight


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in full precision. Raises BackendError (SFX-E545) if the process allows TF32."""
    if a.is_cuda and torch.backends.cuda.matmul.allow_tf32:
        raise BackendError(
            "SFX-E545",
            "TF32 is on in this process, so products are not exact",
            hint="torch.backends.cuda.matmul.allow_tf32 = False",
        )
    return a @ b


def _viewed(x: Tensor, view: View) -> Tensor:
    order = (0, *(1 + o for o in view.order))
    return x.reshape(len(x), *view.split).permute(order).reshape(len(x), -1)


def _conv(c: Conv2d, s: Tensor, weight: Tensor) -> Tensor:
    """[N, O, positions], as one product per group of the columns under the kernel.

    Not torch's own convolution: libraries may choose a transform (Winograd, FFT) that is not exact.
    """
    kh, kw = c.weight.shape[2:]
    x = s.reshape(len(s), *c.in_shape)
    if (kh, kw) == (1, 1) and c.stride == (1, 1) and c.padding == (0, 0):
        columns = x.flatten(2)
    else:
        columns = functional.unfold(x, (kh, kw), c.dilation, c.padding, c.stride)
    grouped = columns.reshape(len(s), c.groups, -1, columns.shape[-1])
    by_group = weight.reshape(c.groups, -1, weight.shape[1])
    return exact_matmul(by_group, grouped)


def _structured(c: Structured, s: Tensor) -> Tensor:
    kept = [label for label, _ in c.post if label in dict(c.pre)]
    labels = [label for label, _ in c.pre]
    x = s.reshape(len(s), *(n for _, n in c.pre))
    gone = [1 + i for i, label in enumerate(labels) if label not in kept]
    if gone:
        x = x.sum(dim=gone)
    left = [label for label in labels if label in kept]
    x = x.permute(0, *(1 + left.index(label) for label in kept))
    shape = [n if label in kept else 1 for label, n in c.post]
    return x.reshape(len(s), *shape).expand(len(s), *(n for _, n in c.post)).reshape(len(s), -1)


def contracted(c: Contraction, r: Reading, a: Tensor, b: Tensor, largest: int) -> Tensor:
    """What a projection with unit weight reads of a contraction: [N, post size] int64."""
    kind = float_for(largest, c.name)
    letters = string.ascii_letters[1:]
    sides = [
        x.to(kind).reshape(len(x), *(c.lengths[i] for i in o.axes)) for x, o in ((a, c.a), (b, c.b))
    ]
    terms = ["a" + "".join(letters[i] for i in o.axes) for o in (c.a, c.b)]
    if a.is_cuda and torch.backends.cuda.matmul.allow_tf32:
        exact_matmul(sides[0], sides[1])  # refuses
    kept = "a" + "".join(letters[i] for i in r.kept)
    out = torch.einsum(f"{terms[0]},{terms[1]}->{kept}", *sides).long()
    if not c.both:
        out = out * (c.a.weight * c.b.weight)
    shape = [1 if i in r.new else n for i, n in enumerate(r.shape)]
    return out.reshape(len(a), *shape).expand(len(a), *r.shape).reshape(len(a), -1)
