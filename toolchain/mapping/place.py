"""Place: a Program's populations as blocks on cores and chips, for an objective."""

from __future__ import annotations

from dataclasses import replace

from sfx.toolchain.errors import FitError, Problem
from sfx.toolchain.ir.placed import Block, PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.mapping.arrange import arrange
from sfx.toolchain.mapping.check import check_placed
from sfx.toolchain.mapping.demand import Rates
from sfx.toolchain.mapping.search import Packed, Search
from sfx.toolchain.targets.load import load, names
from sfx.toolchain.targets.rules import check_values, cores_available
from sfx.toolchain.targets.target import Target

OBJECTIVE = "latency"


def place(
    program: Program,
    target: Target,
    *,
    objective: str = OBJECTIVE,
    seed: int = 0,
    known: Rates | None = None,
) -> PlacedProgram:
    """Partition, pack and arrange `program`; equal inputs give equal results.

    objective  cores, latency or energy (see `mapping.search`)
    known      events per neuron and step of some populations; the rest is estimated
    Raises FitError: SFX-E410..E414 with what binds, SFX-E42x for values the target cannot hold;
    InputError (SFX-E403) for an unknown objective.
    """
    problems = check_values(program.populations, program.projections, target.limits)
    if problems:
        raise FitError.of(problems)
    packed = Search(program, target, known or {}).best(objective)
    if packed.cores > target.limits.cores:
        raise FitError.of([_too_many(program, target, packed.cores)])
    placed = arranged(program, target, packed, seed)
    placed = replace(placed, objective=objective)
    check_placed(placed, target)
    return placed


def arranged(program: Program, target: Target, packed: Packed, seed: int) -> PlacedProgram:
    """The packed cores on the mesh. Not checked."""
    chips = -(-packed.cores // target.limits.cores_per_chip)
    where, slot = arrange(packed.traffic, target.limits, chips, seed)
    at = slot[packed.core]
    blocks = tuple(
        Block(p.population, p.tile, int(where.chip[i]), int(where.core[i]), p.usage)
        for p, i in zip(packed.partition.pieces, at, strict=True)
    )
    return PlacedProgram(program, target.name, blocks, seed=seed)


def smallest(program: Program) -> tuple[str, int] | None:
    """The smallest listed target that holds `program`, and the cores it needs there."""
    for name in names():
        found = cores_needed(program, load(name))
        if found is not None:
            return name, found
    return None


def cores_needed(program: Program, target: Target) -> int | None:
    """Cores on `target`; None where it does not fit."""
    if check_values(program.populations, program.projections, target.limits):
        return None
    try:
        cores = Search(program, target, {}).best("cores").cores
    except FitError:
        return None
    return cores if cores <= target.limits.cores else None


def _too_many(program: Program, target: Target, needed: int) -> Problem:
    problem = cores_available(program.name, needed, target.limits)
    if problem is None:
        raise AssertionError("called only where cores are missing")
    hint = "no listed target is large enough: use fewer channels, tokens or blocks"
    found = smallest(program)
    if found is not None:
        name, cores = found
        available = load(name).limits.cores
        hint = f"the smallest listed target that fits is {name} ({cores} of {available} cores)"
    return replace(problem, hint=hint)
