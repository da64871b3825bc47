"""Place: blocks onto cores, in order: core after core, router after router, chip after chip."""

from __future__ import annotations

from sfx.toolchain.ir.placed import Block, PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.mapping.check import check_placed
from sfx.toolchain.mapping.partition import partition
from sfx.toolchain.targets.target import Target


def place(program: Program, target: Target) -> PlacedProgram:
    """Partition `program` and give every block a core of its own, in topological order.

    Equal inputs give equal results. Raises FitError as `partition` does.
    """
    per_chip = target.limits.cores_per_chip
    blocks = tuple(
        Block(piece.population, piece.ranges, *divmod(i, per_chip), piece.usage)
        for i, piece in enumerate(partition(program, target))
    )
    placed = PlacedProgram(program, target.name, blocks)
    check_placed(placed, target)
    return placed
