"""Integer neurons in the authors' own code, known by what they compute and not by their names.

The Spike-driven Transformer V3, SpikeYOLO and their kin define `MultiSpike`, `MultiSpike_norm4`,
`mem_update` and the like as plain modules around an autograd function. A module of no library that
has no parameters is run on a few numbers: whoever sends round(clamp(v, 0, D)) / norm of a membrane

    v <- keep * (v - n) + x                     keep 0: of its input alone

is such a neuron, with the D, norm and keep that the numbers show. `probe` then runs it beside the
equations, as it does with every neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .opaque import Method, Opaque, Run
from .spec import LifSpec
from .stateless import Stateless, rounding, staircase
from .untouched import untouched

FINE = 16
"""Inputs per unit of the membrane; ties (halves) are among them."""
WIDEST = 40
"""Units up to which a staircase is followed; the published ones end at 4 to 16."""
DIGITS = 4
"""Decimals of a decay that a person typed."""


@dataclass(frozen=True)
class Found:
    """What the numbers of a module show: v is in units of one spike."""

    most: int
    norm: float
    keep: float


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of an integer neuron, or None for anything else."""
    found = look(module)
    if found is None:
        return None
    if found.keep == 0.0:
        return staircase(found.most, path)
    return rounding(1.0 - found.keep, 1.0, found.most, path)


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    found = look(module)
    assert found is not None, "it was read"
    return (
        Stateless(module, spec, found.norm) if found.keep == 0 else _OverTime(module, spec, found)
    )


class _OverTime(Opaque):
    """`spikes = neuron(x)` of all steps x [T, B, ...], from rest with every call."""

    def __init__(self, module: nn.Module, spec: LifSpec, found: Found) -> None:
        super().__init__(module, spec)
        self.norm, self.unit = found.norm, 1.0 / found.norm

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """forward, its spikes counted."""
        return {"forward": lambda x: self.module.forward(x) * self.norm}

    def _forward(self, x: Tensor) -> Tensor:
        sent = self.over_time(x)[0]
        return sent if self.norm == 1.0 else sent / self.norm


def could_be(module: nn.Module) -> bool:
    """Whether it is worth running: no parameters, no buffers, and no class of torch's."""
    own = type(module).__module__.partition(".")[0] != "torch"
    held = any(True for _ in module.parameters()) or any(True for _ in module.buffers())
    return own and not held


def look(module: nn.Module) -> Found | None:
    """D, norm and keep of an integer neuron; None for what is none."""
    if not could_be(module):
        return None
    with untouched(module.modules(), values=True), torch.no_grad():
        module.eval()
        try:
            return _found(module)
        except (Exception, SystemExit):  # the user's own code: it takes something else
            return None


def _found(module: nn.Module) -> Found | None:
    x = torch.arange(-2 * FINE, WIDEST * FINE + 1) / FINE
    sent = _run(module, x.view(1, 1, -1))
    values = sent.flatten().unique()
    most = len(values) - 1
    if most < 1 or float(values[0]) != 0.0 or most >= WIDEST:
        return None
    norm = _typed(1.0 / float(values[1]))
    want = torch.round(torch.clamp(x, 0, most))
    if not torch.equal(torch.round(sent.flatten() * norm), want) or not _even(values, norm):
        return None
    return Found(most, norm, _typed(_kept(module, norm)))


def _even(values: Tensor, norm: float) -> bool:
    steps = torch.arange(len(values)) / norm
    return bool(torch.allclose(values, steps.to(values.dtype), rtol=1e-6, atol=0))


def _kept(module: nn.Module, norm: float) -> float:
    """Share of a membrane of 0.375, which sent nothing, that is there a step later.

    The second input at which a spike is sent lies lower by as much.
    """
    first, low, high = 0.375, 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        fires = float(_run(module, torch.tensor([first, middle]).view(2, 1, 1))[1]) * norm
        low, high = (low, middle) if fires > 0.5 else (middle, high)
    return (0.5 - high) / first


def _run(module: nn.Module, x: Tensor) -> Tensor:
    """What it makes of x [T, B, n], of the same shape. Raises TypeError for anything else."""
    made: Any = module.forward(x)
    if not isinstance(made, Tensor) or made.shape != x.shape:
        raise TypeError("not one tensor of the input's shape")
    return made.detach()


def _typed(value: float) -> float:
    """A number of few decimals, if `value` is one up to float32 rounding."""
    short = round(value, DIGITS)
    return short if abs(short - value) < 1e-6 * max(1.0, abs(value)) else value
