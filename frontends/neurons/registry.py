"""Which module is a spiking neuron, and what its constants are. One file per neuron library.

To add a library: a file here with `read(module, dt, path)` and `opaque(module, spec)`, and a line
in `READERS`. What was read is not believed: `probe` runs the module itself beside it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from sfx.frontends.tracing.opaque import Opaque


@dataclass(frozen=True)
class LifSpec:
    """A neuron's constants per model step, as the Graph's LIF has them.

        i <- i + syn * (w_in * x - i)                          from i = 0
        v <- v + decay * ((leak - v) + gain * i)               from v = start, with the new i
        spike when v > threshold, or v >= threshold if `reached`
        then v <- reset, or v - drop if `subtract`

    Without decay (0) it integrates: v <- v + gain * x, and has no current (syn = w_in = 1).
    The constants are those that the library computes with, so float32 numbers where it rounds them.
    drop 0 stands for the threshold. A current i <- a i + x with v <- b v + i (snnTorch's Synaptic)
    has syn = 1 - a, w_in = 1 / syn, decay = 1 - b, gain = 1 / decay.

    A recurrent module (snnTorch's RLeaky) is such a neuron and a linear node R, with NIR edges
    neuron -> R -> neuron: R reads the spikes of the step before, its bias counts at every step.
    """

    decay: float
    threshold: float
    gain: float = 1.0
    leak: float = 0.0
    reset: float = 0.0
    subtract: bool = False
    syn: float = 1.0
    w_in: float = 1.0
    start: float = 0.0
    drop: float = 0.0
    reached: bool = False


Reader = Callable[[nn.Module, float, str], "LifSpec | None"]
"""(module, dt, its path in the model) -> its constants, or None if it is no neuron.

A neuron that the library has and we cannot map is refused: UnsupportedError SFX-E105.
"""

READERS: dict[str, str] = {
    "norse": "sfx.frontends.neurons.norse",
    "sfx": "sfx.frontends.neurons.own",
    "snntorch": "sfx.frontends.neurons.snntorch",
    "spikingjelly": "sfx.frontends.neurons.spikingjelly",
}
"""Package of a module's class -> the file that reads it; imported when a model needs it."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of `module` if it is a known neuron, else None.

    A subclass of a library's neuron is read like that neuron; `opaque` then runs it.
    """
    reader = _reader(module)
    return None if reader is None else cast(Reader, reader.read)(module, dt, path)


def opaque(module: nn.Module, dt: float, path: str) -> Opaque | None:
    """What computes in the neuron's place during a trace; None for no neuron.

    Raises UnsupportedError: SFX-E105 for a neuron that is not mapped, SFX-E108 for one that
    computes something else than its constants say, SFX-E190 for hooks inside it.
    """
    from sfx.frontends.neurons import probe

    reader = _reader(module)
    spec = None if reader is None else cast(Reader, reader.read)(module, dt, path)
    if reader is None or spec is None:
        return None
    made: Opaque = reader.opaque(module, spec)
    probe.check(made, path)
    return made


def library_class(module: nn.Module, package: str) -> str:
    """Name of the first class of `package` that the module is one of: its own, if not a subclass.

    A class that the library derives from a neuron (SpikingJelly's LIAFNode) is another neuron.
    """
    own = (c.__name__ for c in type(module).__mro__ if c.__module__.partition(".")[0] == package)
    return next(own, "")


def as_single(value: float) -> float:
    """A constant as PyTorch computes with it beside float32 tensors: its float32 value."""
    return float(torch.tensor(value, dtype=torch.float32))


def _reader(module: nn.Module) -> ModuleType | None:
    for cls in type(module).__mro__:
        package = cls.__module__.partition(".")[0]
        if package in READERS:
            return importlib.import_module(READERS[package])
    return None
