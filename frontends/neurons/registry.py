"""Which module is a spiking neuron, and what its constants are. One file per neuron library.

To add a library: a file here with `read(module, dt, path)` and `opaque(module, spec)`, and a line
in `libraries.READERS`. What was read is not believed: `probe` runs the module itself beside it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

from torch import nn

from . import by_behaviour, map_by_behaviour, probe
from .libraries import READERS
from .opaque import Opaque
from .spec import LifSpec

Reader = Callable[[nn.Module, float, str], "LifSpec | None"]
"""(module, dt, its path in the model) -> its constants, or None if it is no neuron.

A neuron that the library has and we cannot map is refused: UnsupportedError SFX-E105.
"""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of `module` if it is a known neuron, else None.

    A subclass of a library's neuron is read like that neuron; `opaque` then runs it. A module of no
    library is looked at by what it computes (`by_behaviour`, `map_by_behaviour`).
    """
    reader = _reader(module)
    return None if reader is None else cast(Reader, reader.read)(module, dt, path)


def opaque(module: nn.Module, dt: float, path: str) -> Opaque | None:
    """What computes in the neuron's place during a trace; None for no neuron.

    Raises UnsupportedError: SFX-E105 for a neuron that is not mapped, SFX-E108 for one that
    computes something else than its constants say, SFX-E190 for hooks inside it.
    """
    reader = _reader(module)
    spec = None if reader is None else cast(Reader, reader.read)(module, dt, path)
    if reader is None or spec is None:
        return None
    made: Opaque = reader.opaque(module, spec)
    probe.check(made, path)
    return made


def _reader(module: nn.Module) -> ModuleType | None:
    for cls in type(module).__mro__:
        package = cls.__module__.partition(".")[0]
        if package in READERS:
            return importlib.import_module(READERS[package])
    looks = (by_behaviour, map_by_behaviour)
    return next((look for look in looks if look.could_be(module)), None)
