"""Our own neuron modules: `MultiStep` around a cell of Norse's, or around `GreaterEqualLIF`."""

from __future__ import annotations

import math

from torch import nn

from sfx.frontends.neurons import norse
from sfx.frontends.neurons.ge_lif import GreaterEqualLIF
from sfx.frontends.neurons.multistep import MultiStep
from sfx.frontends.neurons.registry import LifSpec
from sfx.frontends.tracing.lif_op import OpaqueLif
from sfx.frontends.tracing.step_op import StateInStateOut
from sfx.toolchain.errors import UnsupportedError


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


def stand_in(module: nn.Module, spec: LifSpec) -> nn.Module:
    """What takes the neuron's place during a trace."""
    if isinstance(module, MultiStep):
        return OpaqueLif(spec)
    return StateInStateOut(spec, [0.0], lambda membrane: membrane)


def _greater_equal(cell: GreaterEqualLIF, path: str) -> LifSpec:
    """Fires on v >= threshold, which is v > the next smaller float, exactly.

    On an integer grid, too: with a scale s for which threshold * s is whole, v * s > threshold' * s
    is v * s > threshold * s - 1, provided the compiler rounds thresholds down.
    """
    if not 0 < cell.decay <= 1:
        raise UnsupportedError(
            "SFX-E105", f"tau is {cell.tau:g} model steps, must be at least 1", where=path
        )
    return LifSpec(decay=cell.decay, threshold=math.nextafter(cell.threshold, -math.inf))
