"""Norse's neurons: LIFBoxCell inside a `MultiStep` is mapped, every other is refused by name.

LIFBoxCell (norse.torch.functional.lif_box, 1.1.0):

    v <- v + dt * tau_mem_inv * (x + v_leak - v);  z = 1 where v > v_th (strict)
    v <- v_reset where z = 1, or v - v_th with `reset_method=reset_subtract`

The state starts at v_leak, the Graph's at 0, so the potentials are shifted: with w = v - v_leak
the same equations hold for leak 0, threshold v_th - v_leak and reset v_reset - v_leak.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from norse.torch.functional.reset import reset_subtract, reset_value
from torch import nn

from sfx.frontends.neurons.registry import LifSpec
from sfx.toolchain.errors import UnsupportedError

CONTAINERS = ("SequentialState", "RecurrentSequential", "Lift", "RegularizationCell")
"""Norse modules that are no neurons; what they hold is looked at on its own."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """None for what is no neuron. A neuron of Norse is refused here (UnsupportedError SFX-E105):

    it computes one step, or it is of a kind that is not mapped. Inside a MultiStep, `read_cell`
    reads it.
    """
    if not _of_norse(module) or type(module).__name__ in CONTAINERS:
        return None
    raise alone(module, path) if type(module).__name__ in CELLS else _refused(module, path)


def read_cell(cell: nn.Module, dt: float, path: str) -> LifSpec:
    """The constants of the cell inside a MultiStep. Raises UnsupportedError SFX-E105."""
    reader = CELLS.get(type(cell).__name__)
    if reader is None or not _of_norse(cell):
        raise _refused(cell, path)
    return reader(cell, dt, path)


def alone(cell: nn.Module, path: str) -> UnsupportedError:
    """The refusal of a cell outside a MultiStep."""
    name = type(cell).__name__
    return UnsupportedError(
        "SFX-E105",
        f"{name} computes one step, the model loops over time itself",
        where=path,
        hint=f"wrap it: sfx.frontends.neurons.multistep.MultiStep({name}(...))",
    )


def _of_norse(module: nn.Module) -> bool:
    return any(c.__module__.startswith("norse.torch.module") for c in type(module).__mro__)


def _refused(module: nn.Module, path: str) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E105",
        f"the neuron {type(module).__name__} is not mapped",
        where=path,
        hint=f"use MultiStep with one of: {', '.join(CELLS)}, GreaterEqualLIF",
    )


def _number(value: Any, name: str, path: str) -> float:
    """A constant of the neuron as Norse uses it (its float32 value, if it is a float32 tensor)."""
    tensor = torch.as_tensor(value)
    first = float(tensor.flatten()[0]) if tensor.numel() else float("nan")
    if not bool((tensor == first).all()):
        raise UnsupportedError(
            "SFX-E105",
            f"{name} differs between neurons ({float(tensor.min()):g} to {float(tensor.max()):g})",
            where=path,
            hint="the neurons of one module must share each constant",
        )
    return first


def _lif_box(cell: Any, dt: float, path: str) -> LifSpec:
    p = cell.p
    if abs(cell.dt - dt) > 1e-9 * dt:
        raise UnsupportedError(
            "SFX-E105",
            f"runs with dt = {cell.dt:g} s, the export with dt = {dt:g} s",
            where=path,
            hint=f"export with dt={cell.dt:g}; all neurons of a model need one dt",
        )
    if p.reset_method not in (reset_value, reset_subtract):
        raise UnsupportedError(
            "SFX-E105",
            f"reset method {getattr(p.reset_method, '__name__', p.reset_method)!r} is not mapped",
            where=path,
            hint="use norse's reset_value or reset_subtract",
        )
    # the product as Norse forms it, in the precision of the parameter
    decay = _number(cell.dt * p.tau_mem_inv, "tau_mem_inv", path)
    if not 0 < decay <= 1:
        raise UnsupportedError(
            "SFX-E105",
            f"dt * tau_mem_inv is {decay:g}, must be in (0, 1]",
            where=path,
            hint="tau_mem_inv is in 1/s: 1 / (tau * dt) for a tau of that many model steps",
        )
    leak = _number(p.v_leak, "v_leak", path)
    if leak and p.reset_method is reset_subtract:
        raise UnsupportedError(
            "SFX-E105",
            f"a subtracting reset with v_leak = {leak:g} is not mapped",
            where=path,
            hint="use v_leak = 0: the reset subtracts v_th, which shifts with the leak",
        )
    return LifSpec(
        decay=decay,
        threshold=_number(p.v_th, "v_th", path) - leak,
        reset=_number(p.v_reset, "v_reset", path) - leak,
        subtract=p.reset_method is reset_subtract,
    )


CELLS: dict[str, Callable[[Any, float, str], LifSpec]] = {"LIFBoxCell": _lif_box}
"""Cells that a MultiStep may hold, by class name."""
