"""Norse's neurons: cells that compute one step, alone or in a `MultiStep`, and those over time.

LIFBoxCell (norse.torch.functional.lif_box, 1.1.0):

    v <- v + dt * tau_mem_inv * (x + v_leak - v);  z = 1 where v > v_th (strict)
    v <- v_reset where z = 1, or v - v_th with `reset_method=reset_subtract`

The state starts at v_leak. All constants are float32 tensors or become float32 beside them.
`KINDS` is the list; every other neuron is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from norse.torch.functional.iaf import IAFFeedForwardState
from norse.torch.functional.leaky_integrator import LIState
from norse.torch.functional.leaky_integrator_box import LIBoxState
from norse.torch.functional.lif import LIFFeedForwardState, LIFState
from norse.torch.functional.lif_box import LIFBoxFeedForwardState
from norse.torch.functional.reset import reset_subtract, reset_value
from torch import Tensor, nn
from torch.nn import functional

from ...toolchain.ground.errors import UnsupportedError
from .libraries import library_class
from .opaque import Method, Opaque, Run, handing_on
from .spec import LifSpec
from .step_op import Recurrent

CONTAINERS = ("SequentialState", "RecurrentSequential", "Lift", "RegularizationCell")
"""Norse modules that are no neurons; what they hold is looked at on its own."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a neuron; None for what is no neuron.

    Raises UnsupportedError SFX-E105 for a neuron of Norse that is not mapped.
    """
    if not _of_norse(module) or type(module).__name__ in CONTAINERS:
        return None
    return _kind(module, path).read(module, dt, path)


def read_cell(cell: nn.Module, dt: float, path: str) -> LifSpec:
    """The constants of the cell inside a MultiStep. Raises UnsupportedError SFX-E105."""
    kind = _kind(cell, path) if _of_norse(cell) else None
    if kind is None or kind.over_time or kind.recurrent:
        raise _refused(cell, path)
    return kind.read(cell, dt, path)


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    neuron: Any = module
    kind = _kind(module, "")
    rests = [_number(getattr(neuron.p, r), r, "") if r else 0.0 for r in kind.rests]
    recurrent = Recurrent(neuron.recurrent_weights.detach()) if kind.recurrent else None
    return _StateInStateOut(module, spec, rests, recurrent)


class _StateInStateOut(Opaque):
    """`spikes, state = neuron(x, state)`, with None for a state at rest."""

    def __init__(
        self, module: nn.Module, spec: LifSpec, rests: list[float], recurrent: Recurrent | None
    ) -> None:
        super().__init__(module, spec, rests, recurrent)
        self.kind = _kind(module, "")
        self.inside = self.kind.recurrent

    def methods(self) -> dict[str, Method]:
        """forward: the library computes nowhere else."""
        return {"forward": self._over_time if self.kind.over_time else self._step}

    def runs(self) -> dict[str, Run]:
        """All steps at once, or a loop that hands on the state."""
        forward = self.module.forward
        if self.kind.over_time:
            return {"forward": lambda x: forward(x)[0]}
        return {"forward": handing_on(forward)}

    def constants(self) -> list[Tensor]:
        """What may have one number per neuron."""
        return [value for value in self.module.p if isinstance(value, Tensor)]

    def _step(self, input_tensor: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x, given = self._given(input_tensor, state)
        spikes, *after = self.step(x, given)
        return spikes, self.kind.state(*after)

    def _over_time(self, input_tensor: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x, given = self._given(input_tensor, state)
        spikes, *after = self.over_time(x, given)
        ends, every = after[: len(self.rests)], after[len(self.rests) :]
        return spikes, self.kind.state(*(every if self.module.record_states else ends))

    def _given(self, x: Tensor, state: Any) -> tuple[Tensor, list[Tensor]]:
        """The input of the neurons themselves, and their state before the first step."""
        if self.kind.recurrent:
            x = functional.linear(x, self.module.input_weights)
        if state is not None:
            return x, [state] if isinstance(state, Tensor) else list(state)
        first = x[0] if self.kind.over_time else x
        return x, [torch.full_like(first, rest) for rest in self.rests]


def _of_norse(module: nn.Module) -> bool:
    return any(c.__module__.startswith("norse.torch.module") for c in type(module).__mro__)


def _kind(module: nn.Module, path: str) -> Kind:
    own = library_class(module, "norse")
    if own not in KINDS:
        raise _refused(module, path)
    return KINDS[own]


def _refused(module: nn.Module, path: str) -> UnsupportedError:
    name = type(module).__name__
    hint = f"use one of: {', '.join(KINDS)}; in a MultiStep LIFBoxCell, LIFCell, IAFCell"
    if name.startswith("LI") and not name.startswith("LIF"):
        hint = "use a Linear and LICell or LI, or LIBoxCell"
    return UnsupportedError("SFX-E105", f"the neuron {name} is not mapped", where=path, hint=hint)


def _number(value: Any, name: str, path: str) -> float:
    """A constant of the neuron as Norse uses it (its float32 value, if it is a float32 tensor)."""
    tensor = torch.as_tensor(value).detach()
    first = float(tensor.flatten()[0]) if tensor.numel() else float("nan")
    if not bool((tensor == first).all()):
        raise UnsupportedError(
            "SFX-E105",
            f"{name} differs between neurons ({float(tensor.min()):g} to {float(tensor.max()):g})",
            where=path,
            hint="the neurons of one module must share each constant",
        )
    return first


def _check(cell: Any, dt: float, path: str, reset: Any) -> None:
    """Refuse another dt than the export's, and a reset that the Graph's LIF has not."""
    if abs(cell.dt - dt) > 1e-9 * dt:
        raise UnsupportedError(
            "SFX-E105",
            f"runs with dt = {cell.dt:g} s, the export with dt = {dt:g} s",
            where=path,
            hint=f"export with dt={cell.dt:g}; all neurons of a model need one dt",
        )
    if reset not in (reset_value, reset_subtract):
        raise UnsupportedError(
            "SFX-E105",
            f"reset method {getattr(reset, '__name__', reset)!r} is not mapped",
            where=path,
            hint="use norse's reset_value or reset_subtract",
        )


def _share(cell: Any, name: str, path: str) -> float:
    """The part that is lost per step, dt * tau_inv, in the precision of the parameter."""
    share = _number(cell.dt * getattr(cell.p, name), name, path)
    if not 0 < share <= 1:
        raise UnsupportedError(
            "SFX-E105",
            f"dt * {name} is {share:g}, but must be in (0, 1]",
            where=path,
            hint=f"{name} is in 1/s: 1 / (tau * dt) for a tau of that many model steps",
        )
    return share


def _lif_box(cell: Any, dt: float, path: str) -> LifSpec:
    p = cell.p
    _check(cell, dt, path, p.reset_method)
    decay = _share(cell, "tau_mem_inv", path)
    leak = _number(p.v_leak, "v_leak", path)
    subtract = p.reset_method is reset_subtract
    return LifSpec(
        decay=decay,
        threshold=_number(p.v_th, "v_th", path),
        leak=leak,
        reset=0.0 if subtract else _number(p.v_reset, "v_reset", path),
        subtract=subtract,
        start=leak,
    )


def _lif(cell: Any, dt: float, path: str) -> LifSpec:
    """LIFCell: i <- i + x; v as in LIFBoxCell with i; then i <- i - dt * tau_syn_inv * i."""
    _check(cell, dt, path, reset_value)
    syn = _share(cell, "tau_syn_inv", path)
    leak = _number(cell.p.v_leak, "v_leak", path)
    return LifSpec(
        decay=_share(cell, "tau_mem_inv", path),
        threshold=_number(cell.p.v_th, "v_th", path),
        leak=leak,
        reset=_number(cell.p.v_reset, "v_reset", path),
        syn=syn,
        w_in=1.0 / syn,
        start=leak,
    )


def _li(cell: Any, dt: float, path: str) -> LifSpec:
    """LICell: LIFCell without its threshold."""
    _check(cell, dt, path, reset_value)
    syn, leak = _share(cell, "tau_syn_inv", path), _number(cell.p.v_leak, "v_leak", path)
    decay = _share(cell, "tau_mem_inv", path)
    return LifSpec(decay, 1.0, leak=leak, syn=syn, w_in=1.0 / syn, start=leak, fires="never")


def _li_box(cell: Any, dt: float, path: str) -> LifSpec:
    """LIBoxCell: LIFBoxCell without its threshold."""
    _check(cell, dt, path, reset_value)
    leak = _number(cell.p.v_leak, "v_leak", path)
    decay = _share(cell, "tau_mem_inv", path)
    return LifSpec(decay, 1.0, leak=leak, start=leak, fires="never")


def _iaf(cell: Any, dt: float, path: str) -> LifSpec:
    """IAFCell: v <- v + x from v_reset."""
    rest = _number(cell.p.v_reset, "v_reset", path)
    return LifSpec(0.0, _number(cell.p.v_th, "v_th", path), reset=rest, start=rest)


@dataclass(frozen=True)
class Kind:
    """How a neuron is read and called. rests: the parameter that each state variable starts at."""

    read: Callable[[Any, float, str], LifSpec]
    state: Any
    rests: tuple[str, ...]
    over_time: bool = False
    recurrent: bool = False


KINDS: dict[str, Kind] = {
    "LICell": Kind(_li, LIState, ("v_leak", "")),
    "LIBoxCell": Kind(_li_box, LIBoxState, ("v_leak",)),
    "LI": Kind(_li, LIState, ("v_leak", ""), over_time=True),
    "LIFBoxCell": Kind(_lif_box, LIFBoxFeedForwardState, ("v_leak",)),
    "LIFCell": Kind(_lif, LIFFeedForwardState, ("v_leak", "")),
    "IAFCell": Kind(_iaf, IAFFeedForwardState, ("v_reset",)),
    "LIFRecurrentCell": Kind(_lif, LIFState, ("", "v_leak", ""), recurrent=True),
    "LIF": Kind(_lif, LIFFeedForwardState, ("v_leak", ""), over_time=True),
    "IAF": Kind(_iaf, IAFFeedForwardState, ("v_reset",), over_time=True),
    "LIFRecurrent": Kind(_lif, LIFState, ("", "v_leak", ""), over_time=True, recurrent=True),
}
"""Neurons that are mapped, by class name."""
