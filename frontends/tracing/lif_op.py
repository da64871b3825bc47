"""The opaque op `sfx::lif` that stands for a neuron while a model is traced.

With it the loop over time is one node of the traced graph instead of T copies of the neuron's
arithmetic. It really computes (so a swapped model still runs), and has a shape rule for tracing.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.registry import LifSpec

SCHEMA = (
    "lif(Tensor x, float decay, float threshold, float gain, float leak, float reset, "
    "bool subtract) -> Tensor"
)
NAME = "sfx::lif"


def lif_over_time(
    x: Tensor,
    decay: float,
    threshold: float,
    gain: float,
    leak: float,
    reset: float,
    subtract: bool,
) -> Tensor:
    """Spikes of x [T, ...], time on axis 0: the equation of `LifSpec`, from v = 0."""
    v = torch.zeros_like(x[0])
    spikes = []
    for current in x.unbind(0):
        v = v + (decay * ((leak - v) + gain * current) if decay else gain * current)
        # float64: the threshold of a neuron that fires on >= is the next smaller double
        fired = v.double() > threshold
        after = v - threshold if subtract else torch.full_like(v, reset)
        v = torch.where(fired, after, v)
        spikes.append(fired.to(x.dtype))
    return torch.stack(spikes)


def _shape_only(x: Tensor, *constants: Any) -> Tensor:
    return torch.empty_like(x)


# torch.library ships without types
_torch: Any = torch
_library = _torch.library.Library("sfx", "DEF")
_library.define(SCHEMA)
_library.impl("lif", lif_over_time, "CompositeExplicitAutograd")
if hasattr(torch.library, "register_fake"):  # torch >= 2.4
    _torch.library.register_fake(NAME, _shape_only)
else:
    _torch.library.impl_abstract(NAME)(_shape_only)


class OpaqueLif(nn.Module):
    """Takes a neuron module's place during a trace: the same spikes from one op."""

    def __init__(self, spec: LifSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x [T, B, ...]."""
        s = self.spec
        return cast(
            Tensor,
            _torch.ops.sfx.lif(x, s.decay, s.threshold, s.gain, s.leak, s.reset, s.subtract),
        )
