"""Our own neuron modules: `MultiStep` around a cell of Norse's, or around `GreaterEqualLIF`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from . import norse
from .ge_lif import GreaterEqualLIF
from .libraries import as_single
from .multistep import MultiStep
from .opaque import Method, Opaque, Run, handing_on
from .spec import LifSpec


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a MultiStep, or of a GreaterEqualLIF alone; None for what is no neuron.

    Raises UnsupportedError SFX-E105 for a MultiStep whose cell is not mapped.
    """
    if isinstance(module, GreaterEqualLIF):
        return _greater_equal(module, path)
    if not isinstance(module, MultiStep):
        return None
    if isinstance(module.cell, GreaterEqualLIF):
        return _greater_equal(module.cell, path)
    return norse.read_cell(module.cell, dt, path)


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
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
    """A GreaterEqualLIF alone: `spikes, membrane = neuron(x, membrane)`."""

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
