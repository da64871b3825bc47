"""Spikes of chosen populations, kept with their gradient while a model computes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..compiler.cost.synops import synops_by_neuron
from ..ground.errors import InputError
from ..ir.program import Program
from .neurons import RULES
from .rules import Host


@dataclass
class Watch:
    """What one who watches asked for, and what the latest forward pass sent.

    names  of populations or modules -> population
    """

    names: Mapping[str, str]
    sent: dict[str, Tensor] = field(default_factory=dict)

    def see(self, program: Program, sent: Mapping[str, Tensor]) -> None:
        """Keep what it asked for [T, B, *shape]."""
        self.sent.clear()
        for name, population in self.names.items():
            self.sent[name] = sent[population].unflatten(2, program[population].shape)


def populations_of(program: Program, name: str) -> tuple[str, ...]:
    """The populations of the module at this path, or the population of this name.

    Raises InputError (SFX-E368) if there is neither.
    """
    found = tuple(q.name for q in program if name and q.module == name)
    if found or any(q.name == name for q in program):
        return found or (name,)
    raise InputError(
        "SFX-E368",
        "is neither a population nor a module whose neurons are one",
        where=repr(name),
        hint=f"such as {next((q.module for q in program if q.module), program.input.name)!a}; "
        "model.template.program.populations has all",
    )


def one_of(program: Program, name: str) -> str:
    """The population that `name` stands for. Raises InputError (SFX-E368) if it is several."""
    found = populations_of(program, name)
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    raise InputError(
        "SFX-E368",
        f"is {len(found)} populations",
        where=repr(name),
        hint=f"name one of them: {', '.join(found)}",
    )


def costs(program: Program, contracted: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Population -> synops of an event of each of its neurons [size], where training has a say.

    Not of what the host drives or what always fires. Coincidences that are only summed
    (`contracted`) are left out: nobody computes them in training, and they fall with their
    operands.
    """
    drives = {j.pre for j in program.projections}
    return {
        q.name: synops_by_neuron(program, q.name)
        for q in program
        if q.name in drives - set(contracted)
        and not isinstance(RULES[type(q.neuron)], Host)
        and program.incoming[q.name]
    }
