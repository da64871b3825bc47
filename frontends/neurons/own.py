"""Our own neuron modules: `GreaterEqualLIF`, integer neurons, `MultiStep` around a cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from . import norse
from .ge_lif import GreaterEqualLIF
from .integer import IntegerLIF, MultiSpike, TernaryLIF
from .libraries import as_single
from .multistep import MultiStep
from .opaque import Method, Opaque, Run, handing_on
from .spec import LifSpec
from .stateless import Stateless, rounding, staircase, ternary


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a MultiStep, a cell of ours alone, a MultiSpike; None for what is no neuron.

    Raises UnsupportedError SFX-E105 for a MultiStep whose cell is not mapped.
    """
    if isinstance(module, MultiSpike):
        return staircase(module.most, path)
    cell = module.cell if isinstance(module, MultiStep) else module
    if isinstance(cell, GreaterEqualLIF):
        return _greater_equal(cell, path)
    if isinstance(cell, IntegerLIF):
        return rounding(1.0 - cell.keep, as_single(cell.threshold), cell.most, path)
    if isinstance(cell, TernaryLIF):
        threshold = as_single(cell.threshold)
        return ternary(1.0 - cell.keep, threshold, path, soft=cell.soft, reached=True)
    return norse.read_cell(cell, dt, path) if isinstance(module, MultiStep) else None


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    if isinstance(module, MultiSpike):
        return Stateless(module, spec, module.norm)
    return _Anew(module, spec) if isinstance(module, MultiStep) else _Stepped(module, spec, [0.0])


class _Anew(Opaque):
    """A MultiStep: spikes of all steps, from rest with every call."""

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": lambda x: self.over_time(x)[0]}

    def runs(self) -> dict[str, Run]:
        """forward."""
        return {"forward": self.module.forward}


class _Stepped(Opaque):
    """A cell of ours alone: `spikes, membrane = neuron(x, membrane)`."""

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """forward, in a loop."""
        return {"forward": handing_on(self.module.forward)}

    def _forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        spikes, after = self.step(x, [torch.zeros_like(x) if state is None else state])
        return spikes, after


def _greater_equal(cell: GreaterEqualLIF, path: str) -> LifSpec:
    """Fires on v >= threshold."""
    if not 0 < cell.decay <= 1:
        raise UnsupportedError(
            "SFX-E105", f"tau is {cell.tau:g} model steps, but must be at least 1", where=path
        )
    return LifSpec(decay=cell.decay, threshold=as_single(cell.threshold), reached=True)
