"""Projections and contractions in torch: integer sums as float products that are proved exact.

A float32 product is exact while no sum reaches 2^24, a float64 product below 2^53, in any order of
addition; so the result does not depend on the device or on how it splits the work. Reduced
precision (TF32) is never used: `exact_matmul` refuses to run with it.
"""

from __future__ import annotations

import string

import torch
from torch import Tensor

from ....toolchain.ground.errors import BackendError
from ....toolchain.ir.program import View
from ..kernels.on_device import exact_matmul, wrap
from ..plan.contractions import Contraction, Reading
from ..plan.projections import PlannedProjection
from ..rules import Setting


def float_for(largest: int, where: str) -> torch.dtype:
    """The float type whose sums are exact. Raises BackendError (SFX-E544) if none is."""
    if largest < 1 << 24:
        return torch.float32
    if largest < 1 << 53:
        return torch.float64
    raise BackendError(
        "SFX-E544", f"sums reach {largest}, beyond 2^53", where=where, hint="run it on the CPU"
    )


class DeviceProjection:
    """One projection: what pre sent [N, pre size] -> what post receives [N, post size] int64."""

    def __init__(self, name: str, planned: PlannedProjection, device: torch.device) -> None:
        self.planned, self.device = planned, device
        self.kind = float_for(planned.largest, name)
        self.total = planned.rule.on_device(
            planned.connection,
            planned.effective,
            Setting(planned.pre_size, planned.post_size, self.kind, device),
        )

    @property
    def work_bytes(self) -> int:
        """Memory of one step of one sample: inputs under the kernel, and the sums."""
        item = 4 if self.kind == torch.float32 else 8
        w = self.planned
        columns = w.pre_size * w.rule.columns(w.connection)
        return item * columns + (item + 24) * w.post_size

    def __call__(self, s: Tensor) -> Tensor:
        """The rule of `projections.PlannedProjection`, wraps included."""
        w = self.planned
        total = self.total(s if w.pre_view is None else _viewed(s, w.pre_view))
        if w.exponent > 0:
            total = wrap(total, 32) << w.exponent
        elif w.exponent < 0:
            total = wrap(total, 32) >> -w.exponent
        if w.wraps:
            total = wrap(total, w.bits)
        return total if w.post_view is None else _viewed(total, w.post_view)


def _viewed(x: Tensor, view: View) -> Tensor:
    order = (0, *(1 + o for o in view.order))
    return x.reshape(len(x), *view.split).permute(order).reshape(len(x), -1)


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
