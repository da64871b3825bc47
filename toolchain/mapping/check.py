"""Is a placement legal? Measured again from the blocks, whoever made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import FitError, Problem
from sfx.toolchain.ir.placed import Block, PlacedProgram, Usage
from sfx.toolchain.ir.program import Population, Program
from sfx.toolchain.mapping.partition import on_cores
from sfx.toolchain.mapping.usage import Meter, total
from sfx.toolchain.targets.rules import check_core, check_values
from sfx.toolchain.targets.target import Limits, Target


def check_placed(placed: PlacedProgram, target: Target) -> None:
    """Every neuron on exactly one core, every core within every limit of `target`.

    Usage is measured anew, the blocks' own figures are compared with it. Raises FitError with all
    problems: SFX-E410..E428 a limit, E430 a neuron on no core or on two, E431 a core that is not
    there, E432 a block whose recorded usage is wrong.
    """
    program, limits = placed.program, target.limits
    problems = check_values(program.populations, program.projections, limits)
    problems += _cores(placed.blocks, limits)
    problems += _coverage(program, placed.blocks)
    if not problems:  # the measures below index with the blocks
        problems += _usage(placed, limits)
    if problems:
        raise FitError.of(problems)


def _cores(blocks: Sequence[Block], limits: Limits) -> list[Problem]:
    return [
        Problem(
            "SFX-E431",
            b.population,
            f"is placed on chip {b.chip} core {b.core}; the system has {limits.chips} chips of "
            f"{limits.cores_per_chip} cores",
        )
        for b in blocks
        if not (0 <= b.chip < limits.chips and 0 <= b.core < limits.cores_per_chip)
    ]


def _coverage(program: Program, blocks: Sequence[Block]) -> list[Problem]:
    problems = []
    expected = {p.name: p for p in on_cores(program)}
    by_population: dict[str, list[Block]] = defaultdict(list)
    for b in blocks:
        by_population[b.population].append(b)
    for name in sorted(set(by_population) - set(expected)):
        what = "has a block, but needs no core or does not exist"
        problems.append(Problem("SFX-E430", name, what))
    for name, population in expected.items():
        ranges = [r for b in by_population[name] for r in b.ranges]
        if any(not 0 <= start < stop <= population.size for start, stop in ranges):
            problems.append(Problem("SFX-E430", name, f"has a range outside 0..{population.size}"))
            continue
        times = _times(ranges, population)
        wrong = np.flatnonzero(times != 1)
        if wrong.size:
            problems.append(
                Problem(
                    "SFX-E430",
                    name,
                    f"{wrong.size} of {population.size} neurons are not on exactly one core; the "
                    f"first, {wrong[0]}, is on {times[wrong[0]]}",
                )
            )
    return problems


def _times(ranges: list[tuple[int, int]], population: Population) -> IntArray:
    """How many ranges hold each neuron."""
    ends = np.zeros(population.size + 1, dtype=np.int64)
    if ranges:
        pairs = np.array(ranges, dtype=np.int64)
        np.add.at(ends, pairs[:, 0], 1)
        np.add.at(ends, pairs[:, 1], -1)
    times: IntArray = np.cumsum(ends)[:-1]
    return times


def _usage(placed: PlacedProgram, limits: Limits) -> list[Problem]:
    measured = measure(placed, limits)
    problems = []
    by_core: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (b, usage) in enumerate(zip(placed.blocks, measured, strict=True)):
        by_core[b.chip, b.core].append(i)
        if usage != b.usage:
            problems.append(
                Problem("SFX-E432", b.population, f"records {b.usage}, measured {usage}")
            )
    for (chip, core), members in by_core.items():
        held = " and ".join(sorted({placed.blocks[i].population for i in members}))
        where = f"chip {chip} core {core} ({held})"
        problems += check_core(where, total(measured[i] for i in members), limits)
    return problems


def measure(placed: PlacedProgram, limits: Limits) -> list[Usage]:
    """The usage of every block, counted from the connections and the blocks' neurons."""
    program = placed.program
    owner: dict[str, IntArray] = {}
    for i, b in enumerate(placed.blocks):
        owner.setdefault(b.population, np.full(program[b.population].size, -1, np.int64))
        owner[b.population][b.indices] = i
    sent = np.zeros(len(placed.blocks), dtype=np.int64)
    meters = {name: Meter(program, program[name], limits) for name in owner}
    measured = []
    for b in placed.blocks:
        indices = b.indices
        heard = meters[b.population].listens_to(indices)
        for pre in heard.keys() & owner.keys():
            sent += np.bincount(owner[pre][heard[pre]], minlength=sent.size)
        axons = sum(a.size for a in heard.values())
        measured.append((indices.size, meters[b.population].words(indices), axons))
    return [Usage(*row, axons_out=int(n)) for row, n in zip(measured, sent, strict=True)]
