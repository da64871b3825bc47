"""Place: a Program's populations as blocks on cores and chips, for an objective."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...ground.errors import FitError, Problem
from ...ir.placed import Block, PlacedProgram
from ...ir.program import Program
from ...targets.load import load, names
from ...targets.rules import check_values, cores_available
from ...targets.target import Target
from .arrange import arrange
from .check import check_placed
from .demand import Rates
from .search import Packed, Search


@dataclass(frozen=True)
class MappingOptions:
    """What a mapping is made for.

    objective  cores, latency, energy or intel (see `mapping.search`)
    seed       of the placement
    known      events per neuron and step of some populations; the rest is estimated
    """

    objective: str = "latency"
    seed: int = 0
    known: Rates = field(default_factory=dict)


def place(program: Program, target: Target, options: MappingOptions | None = None) -> PlacedProgram:
    """Partition, pack and arrange `program`; equal inputs give equal results.

    Raises FitError: SFX-E410..E414 with what binds, SFX-E42x for values the target cannot hold;
    InputError (SFX-E403) for an unknown objective.
    """
    problems = check_values(program.populations, program.projections, target.limits)
    if problems:
        raise FitError.of(problems)
    options = options or MappingOptions()
    packed = Search(program, target, options.known).best(options.objective)
    if packed.cores > target.limits.cores:
        raise FitError.of([_too_many(program, target, packed.cores, options.objective)])
    placed = arranged(program, target, packed, options.seed)
    placed = replace(placed, objective=options.objective)
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


def smallest(program: Program, like: Target | None = None) -> tuple[str, int] | None:
    """The smallest listed target that holds `program`, and the cores it needs there.

    like: only targets of the same generation (binary or graded spikes).
    """
    for name in names():
        graded = bool(load(name).limits.payload_bits)
        if like is not None and graded != bool(like.limits.payload_bits):
            continue
        found, _ = needs(program, load(name))
        if found is not None:
            return name, found
    return None


def needs(program: Program, target: Target) -> tuple[int | None, str]:
    """The fewest cores on `target`; or None and the first thing that keeps it from fitting."""
    problems = check_values(program.populations, program.projections, target.limits)
    try:
        cores = 0 if problems else Search(program, target, {}).best("cores").cores
    except FitError as refusal:
        problems = list(refusal.problems)
    if not problems and cores > target.limits.cores:
        return None, f"needs {cores:,} cores"
    return (None, f"{problems[0].where}: {problems[0].what}") if problems else (cores, "")


def _too_many(program: Program, target: Target, needed: int, objective: str) -> Problem:
    problem = cores_available(program.name, needed, target.limits)
    if problem is None:
        raise AssertionError("called only where cores are missing")
    few = needs(program, target)[0] if objective == "intel" else None
    if few is not None:  # only `intel` may ask for more than there are where the fewest fit
        return replace(problem, hint=f"--objective cores needs {few}")
    hint = "no listed target is large enough: use fewer channels, tokens or blocks"
    found = smallest(program, target)
    if found is not None:
        name, cores = found
        available = load(name).limits.cores
        hint = f"the smallest listed target that fits is {name} ({cores} of {available} cores)"
    return replace(problem, hint=hint)
