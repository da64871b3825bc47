"""Integer neurons in the authors' own code, known by what they compute and not by their names.

The Spike-driven Transformer V3, SpikeYOLO and their kin define `MultiSpike`, `MultiSpike_norm4`,
`mem_update` and the like as plain modules around an autograd function, the ternary spike its
`LIFAct`. A module of no library that has no parameters is run on a few numbers: whoever sends

    round(clamp(v, 0, D)) / norm            v <- keep * (v - n) + x
    1 / norm where v reaches a threshold, -1 / norm where -v does
                                            v <- keep * v + x, from 0 after a spike (or v - s th)

(keep 0: a function of its input alone) is such a neuron, with the numbers that it shows. `probe`
then runs it beside the equations, as it does with every neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .any_shape import run
from .opaque import Method, Opaque, Run
from .spec import LifSpec
from .stateless import Stateless, rounding, ternary
from .untouched import untouched

FINE = 16
"""Inputs per unit of the membrane; ties (halves) are among them."""
WIDEST = 40
"""Units up to which a staircase is followed; the published ones end at 4 to 16."""
DIGITS = 4
"""Decimals of a decay that a person typed."""
HALVINGS = 30
"""Of what is between two inputs: enough for float32."""
TIE = 1e-3
"""Share of the threshold by which what a spike leaves may be off; `probe` looks more closely."""


@dataclass(frozen=True)
class Found:
    """What the numbers of a module show; v of a staircase is in units of one spike.

    most       D of a staircase, 0: a ternary neuron
    threshold  of a ternary one;  reached: it fires on the threshold itself;  soft: it subtracts
    """

    most: int
    norm: float
    keep: float
    threshold: float = 1.0
    reached: bool = True
    soft: bool = True


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of an integer neuron, or None for anything else."""
    found = look(module)
    if found is None:
        return None
    decay = 1.0 - found.keep
    if found.most:
        return rounding(decay, 1.0, found.most, path)
    return ternary(decay, found.threshold, path, soft=found.soft, reached=found.reached)


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
        return {"forward": lambda x: run(self.module, x) * self.norm}

    def _forward(self, x: Tensor) -> Tensor:
        sent = self.over_time(x)[0]
        return sent if self.norm == 1.0 else sent / self.norm


def could_be(module: nn.Module) -> bool:
    """Whether it is worth running: no parameters, no buffers, and no class of torch's."""
    own = type(module).__module__.partition(".")[0] != "torch"
    held = any(True for _ in module.parameters()) or any(True for _ in module.buffers())
    return own and not held


def look(module: nn.Module) -> Found | None:
    """The numbers of an integer neuron; None for what is none."""
    if not could_be(module):
        return None
    with untouched(module.modules(), values=True), torch.no_grad():
        module.eval()
        try:
            return _found(module)
        except (Exception, SystemExit):  # the user's own code: it takes something else
            return None


def _found(module: nn.Module) -> Found | None:
    x = torch.arange(-WIDEST * FINE, WIDEST * FINE + 1) / FINE
    sent = run(module, x.view(1, 1, -1)).flatten()
    values = sent.unique()
    if len(values) == 3 and float(values[1]) == 0.0 and float(values[0]) == -float(values[2]):
        return _signed(module, x, sent, _typed(1.0 / float(values[2])))
    most = len(values) - 1
    if most < 1 or float(values[0]) != 0.0 or most >= WIDEST:
        return None
    norm = _typed(1.0 / float(values[1]))
    want = torch.round(torch.clamp(x, 0, most))
    if not torch.equal(torch.round(sent * norm), want) or not _even(values, norm):
        return None
    return Found(most, norm, _typed(_kept(module, norm)))


def _even(values: Tensor, norm: float) -> bool:
    steps = torch.arange(len(values)) / norm
    return bool(torch.allclose(values, steps.to(values.dtype), rtol=1e-6, atol=0))


def _signed(module: nn.Module, x: Tensor, sent: Tensor, norm: float) -> Found | None:
    """A ternary neuron: its threshold on either side, what it keeps, and what a spike leaves."""

    def fires(*inputs: float) -> bool:
        steps = torch.tensor(inputs).view(-1, 1, 1)
        return float(run(module, steps)[-1]) > 0

    top = float(x[sent > 0].min())
    at = _typed(_least(fires, top - 1 / FINE, top))
    reached = fires(at)
    over = x.abs() >= at if reached else x.abs() > at
    if not torch.equal(sent * norm, torch.sign(x) * over):
        return None
    first, large = 0.75 * at, 2.5 * at
    keep = _typed((at - _least(lambda v: fires(first, v), 0.0, 2 * at)) / first)
    left = at - _least(lambda v: fires(large, v), -2 * at, 2 * at)
    subtracted = keep * (large - at)
    soft = keep > 0 and left > subtracted / 2
    if abs(left - (subtracted if soft else 0.0)) > TIE * at:
        return None
    return Found(0, norm, keep, at, reached, soft)


def _least(fires: Callable[[float], bool], low: float, high: float) -> float:
    """The least input in low..high at which it fires."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if fires(middle) else (middle, high)
    return high


def _kept(module: nn.Module, norm: float) -> float:
    """Share of a membrane of 0.375, which sent nothing, that is there a step later.

    The second input at which a spike is sent lies lower by as much.
    """
    first = 0.375

    def fires(second: float) -> bool:
        steps = torch.tensor([first, second]).view(2, 1, 1)
        return float(run(module, steps)[1]) * norm > 0.5

    return (0.5 - _least(fires, 0.0, 1.0)) / first


def _typed(value: float) -> float:
    """A number of few decimals, if `value` is one up to float32 rounding."""
    short = round(value, DIGITS)
    return short if abs(short - value) < 1e-6 * max(1.0, abs(value)) else value
