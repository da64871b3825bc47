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
from typing import Any

import torch
from torch import Tensor, nn

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
OWN_STEPS = ("T", "step", "steps", "timesteps", "time_step", "time_steps")
"""Attributes by which modules know how many steps they loop over."""
SHAPES: tuple[Callable[[int], tuple[int, ...]], ...] = (
    lambda n: (1, n),
    lambda n: (1, n, 1, 1),
    lambda n: (1, n, 1),
)
"""Behind the time axis: [B, n], [B, C, H, W] and [B, C, N]; some modules unpack their input's."""


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
        return {"forward": lambda x: _run(self.module, x) * self.norm}

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
    sent = _run(module, x.view(1, 1, -1)).flatten()
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
        return float(_run(module, steps)[-1]) > 0

    if not bool((sent > 0).any()):
        return None
    top = float(x[sent > 0].min())
    at = _typed(_least(lambda v: fires(v), top - 1 / FINE, top))
    reached = fires(at)
    over = x.abs() >= at if reached else x.abs() > at
    if not torch.equal(sent * norm, torch.sign(x) * over):
        return None
    first, large = 0.75 * at, 2.5 * at
    keep = _typed((at - _least(lambda v: fires(first, v), 0.0, 2 * at)) / first)
    left = at - _least(lambda v: fires(large, v), -2 * at, 2 * at)
    soft = keep > 0 and abs(left) > 0.1 * keep * at
    if abs(left - (keep * (large - at) if soft else 0.0)) > 1e-3 * at:
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
        return float(_run(module, steps)[1]) * norm > 0.5

    return (0.5 - _least(fires, 0.0, 1.0)) / first


def _run(module: nn.Module, x: Tensor) -> Tensor:
    """What it makes of x [T, B, n], of the same shape, whatever shape it takes.

    Raises the module's own error, or TypeError for what is not one tensor of the input's shape.
    """
    first: Exception | None = None
    for shape in SHAPES:
        lanes = [shape(x.shape[2])[0] * x.shape[1], *shape(x.shape[2])[1:]]
        given = x.reshape(x.shape[0], *lanes)
        try:
            with untouched(module.modules()):
                _told(module, x.shape[0])
                made: Any = module.forward(given)
            if not isinstance(made, Tensor) or made.shape != given.shape:
                raise TypeError("not one tensor of the input's shape")
            return made.detach().reshape(x.shape)
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def _told(module: Any, steps: int) -> None:
    """A module that counts its steps by a number of its own loops over these."""
    for name in OWN_STEPS:
        if type(module.__dict__.get(name)) is int:
            module.__dict__[name] = steps


def _typed(value: float) -> float:
    """A number of few decimals, if `value` is one up to float32 rounding."""
    short = round(value, DIGITS)
    return short if abs(short - value) < 1e-6 * max(1.0, abs(value)) else value
