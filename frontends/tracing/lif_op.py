"""The opaque op `sfx::lif` that stands for a neuron while a model is traced.

With it the loop over time is one node of the traced graph instead of T copies of the neuron's
arithmetic. It really computes (so a swapped model still runs), and has a shape rule for tracing.
The op carries a number; `SPECS` holds the constants of the neuron with that number.
"""

from __future__ import annotations

import itertools
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.registry import LifSpec

NAME = "sfx::lif"
SPECS: WeakValueDictionary[int, LifSpec] = WeakValueDictionary()
"""Neuron number -> its constants, for as long as the module that stands for it lives."""
_numbers = itertools.count()


def numbered(spec: LifSpec) -> int:
    """A number for `spec`, which the caller keeps alive."""
    number = next(_numbers)
    SPECS[number] = spec
    return number


def lif_over_time(x: Tensor, s: LifSpec) -> Tensor:
    """Spikes of x [T, ...], time on axis 0: the equations of `LifSpec`."""
    v, i = torch.full_like(x[0], s.start), torch.zeros_like(x[0])
    spikes = []
    for step in x.unbind(0):
        i = i + s.syn * (s.w_in * step - i)
        v = v + (s.decay * ((s.leak - v) + s.gain * i) if s.decay else s.gain * step)
        # float64: the threshold of a neuron that fires on >= is the next smaller double
        fired = v.double() > s.threshold
        after = v - (s.drop or s.threshold) if s.subtract else torch.full_like(v, s.reset)
        v = torch.where(fired, after, v)
        spikes.append(fired.to(x.dtype))
    return torch.stack(spikes)


def _compute(x: Tensor, neuron: int) -> Tensor:
    return lif_over_time(x, SPECS[neuron])


def _shape_only(x: Tensor, neuron: int) -> Tensor:
    return torch.empty_like(x)


# torch.library ships without types
_torch: Any = torch
LIBRARY = _torch.library.Library("sfx", "DEF")
LIBRARY.define("lif(Tensor x, int neuron) -> Tensor")
LIBRARY.impl("lif", _compute, "CompositeExplicitAutograd")
# the shape rule of an op: the name of its decorator depends on the version
fake = getattr(torch.library, "register_fake", None) or _torch.library.impl_abstract
fake(NAME)(_shape_only)


class OpaqueLif(nn.Module):
    """Takes a multi-step neuron's place during a trace: the same spikes from one op."""

    def __init__(self, spec: LifSpec) -> None:
        super().__init__()
        self.spec = spec
        self.number = numbered(spec)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x [T, B, ...]."""
        return cast(Tensor, _torch.ops.sfx.lif(x, self.number))
