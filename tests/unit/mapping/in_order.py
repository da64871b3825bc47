"""A map that can be followed by hand: tiles in program order, each on the next core."""

from __future__ import annotations

from sfx.toolchain.compiler.mapping.baselines import tiles
from sfx.toolchain.compiler.mapping.check import check_placed
from sfx.toolchain.compiler.mapping.search import Search
from sfx.toolchain.ir.placed import Block, PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import Target


def in_order(program: Program, target: Target) -> PlacedProgram:
    """One tile a core, cores in their order."""
    search = Search(program, target, {})
    part = search.parts.measure(tiles(search.parts, search.goals), search.goals)
    blocks = tuple(
        Block(p.population, p.tile, *divmod(i, target.limits.cores_per_chip), p.usage)
        for i, p in enumerate(part.pieces)
    )
    placed = PlacedProgram(program, target.name, blocks)
    check_placed(placed, target)
    return placed
