"""Partition: every population into the fewest equal blocks that each fit one core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import FitError, Problem
from sfx.toolchain.ir.placed import Usage, ranges_of
from sfx.toolchain.ir.program import Clock, Input, Population, Program
from sfx.toolchain.mapping.split import Axes, Candidates, Split, axes_of, candidates
from sfx.toolchain.mapping.usage import Meter, describe
from sfx.toolchain.targets.load import load, names
from sfx.toolchain.targets.rules import axons_out, check_core, check_values, cores_available
from sfx.toolchain.targets.target import Limits, Target


@dataclass(frozen=True)
class Piece:
    """A block that has no core yet: neurons of one population as ranges of flat indices."""

    population: str
    ranges: tuple[tuple[int, int], ...]
    usage: Usage


def on_cores(program: Program) -> tuple[Population, ...]:
    """The populations that need cores: inputs and clocks come from the host."""
    return tuple(p for p in program if not isinstance(p.neuron, Input | Clock))


def partition(program: Program, target: Target) -> tuple[Piece, ...]:
    """Every population in equal blocks, in program order; each block fits one core of `target`.

    Raises FitError: SFX-E410..E414 with what binds, or SFX-E42x for values the target cannot hold.
    """
    limits = target.limits
    problems = check_values(program.populations, program.projections, limits)
    if problems:
        raise FitError.of(problems)
    splits = _splits(program, limits)
    while True:
        needed = sum(s.blocks for s in splits.values())
        if needed > limits.cores:
            raise FitError.of([_too_many(program, target, needed)])
        usages = _measure(program, splits, limits)
        again = _too_full(program, splits, usages, limits)
        if not again:
            break
        splits |= again
    return tuple(
        Piece(name, ranges_of(split.indices(b)), usages[name][b])
        for name, split in splits.items()
        for b in range(split.blocks)
    )


def _splits(program: Program, limits: Limits) -> dict[str, Split]:
    """Each population's split by itself; all problems at once."""
    splits: dict[str, Split] = {}
    problems: list[Problem] = []
    for population in on_cores(program):
        found = _split(program, population, limits)
        if isinstance(found, Split):
            splits[population.name] = found
        else:
            problems.append(found)
    if problems:
        raise FitError.of(problems)
    return splits


def _split(
    program: Program, population: Population, limits: Limits, at_least: int = 1
) -> Split | Problem:
    """The split with the fewest blocks (>= at_least) whose sample blocks fit, or what stops it."""
    meter = Meter(program, population, limits)
    tries = candidates(axes_of(program, population))
    fits = tries.neurons <= limits.neurons_per_core
    fits &= meter.least_words(tries.channels, tries.neurons) <= limits.synapse_words_per_core
    fits &= tries.blocks >= at_least
    legal = tries.keep(fits)
    found = _first_fit(legal, meter) if len(legal) else None
    return _one_neuron(meter, tries.axes) if found is None else found


def _first_fit(tries: Candidates, meter: Meter) -> Split | None:
    """The first candidate that fits: gallop to one that does, then bisect the gap."""
    good, step, bad = 0, 1, -1
    while not _fits(tries[good], meter):
        if good == len(tries) - 1:
            return None
        bad, good, step = good, min(good + step, len(tries) - 1), step * 2
    while good - bad > 1:
        middle = (good + bad) // 2
        if _fits(tries[middle], meter):
            good = middle
        else:
            bad = middle
    return tries[good]


def _fits(split: Split, meter: Meter) -> bool:
    return not any(
        check_core(
            "",
            meter.usage(split.indices(b), axons=meter.limits.axons_in_per_core > 0),
            meter.limits,
        )
        for b in split.samples()
    )


def _one_neuron(meter: Meter, axes: Axes) -> Problem:
    """What keeps even a core of its own from holding one neuron of the population."""
    singles = Split(axes, axes)
    for block in singles.samples():
        one = singles.indices(block)
        usage = meter.usage(one, axons=True)
        problems = check_core(describe(meter.population, one), usage, meter.limits)
        if problems:
            return problems[0]
    raise AssertionError(f"{meter.population.name}: one neuron fits, yet no split was found")


# --- all populations together ----------------------------------------------------------------


def _measure(
    program: Program, splits: Mapping[str, Split], limits: Limits
) -> dict[str, list[Usage]]:
    """The usage of every block, axons out included."""
    usages: dict[str, list[Usage]] = {}
    owners = {name: owner_of(split) for name, split in splits.items()}
    sent = {name: np.zeros(split.blocks, dtype=np.int64) for name, split in splits.items()}
    for name, split in splits.items():
        meter = Meter(program, program[name], limits)
        usages[name] = []
        for b in range(split.blocks):
            indices = split.indices(b)
            heard = meter.listens_to(indices)
            for pre in heard.keys() & owners.keys():
                sent[pre] += np.bincount(owners[pre][heard[pre]], minlength=sent[pre].size)
            axons = sum(a.size for a in heard.values())
            usages[name].append(Usage(indices.size, meter.words(indices), axons, 0))
    return {
        name: [replace(u, axons_out=n) for u, n in zip(rows, sent[name].tolist(), strict=True)]
        for name, rows in usages.items()
    }


def owner_of(split: Split) -> IntArray:
    """The block of each neuron, flat."""
    c, y, x = (
        (np.arange(n, dtype=np.int64) * k + k - 1) // n
        for n, k in zip(split.axes, split.parts, strict=True)
    )
    _, rows, columns = split.parts
    grid = (c[:, None, None] * rows + y[:, None]) * columns + x
    return grid.ravel()


def _too_full(
    program: Program, splits: Mapping[str, Split], usages: Mapping[str, list[Usage]], limits: Limits
) -> dict[str, Split]:
    """Finer splits for the populations of which a block breaks a rule; raises if there is none."""
    again: dict[str, Split] = {}
    for name, split in splits.items():
        population = program[name]
        problems = [
            p
            for b, usage in enumerate(usages[name])
            for p in check_core(describe(population, split.indices(b)), usage, limits)
        ]
        if not problems:
            continue
        finer = _split(program, population, limits, _next_blocks(split, usages[name], limits))
        if split.blocks >= population.size or not isinstance(finer, Split):
            raise FitError.of(problems[:1])
        again[name] = finer
    return again


def _next_blocks(split: Split, usages: list[Usage], limits: Limits) -> int:
    """At least one block more; as many as the axons out need, since those halve with the block."""
    most = max(usages, key=lambda u: u.axons_out)
    if not axons_out("", most, limits):
        return split.blocks + 1
    more = split.blocks * most.axons_out // limits.axons_out_per_core
    return max(split.blocks + 1, min(more, int(np.prod(split.axes))))


def _too_many(program: Program, target: Target, needed: int) -> Problem:
    problem = cores_available(program.name, needed, target.limits)
    if problem is None:
        raise AssertionError("called only where cores are missing")
    for name in names():
        other = load(name).limits
        alike = bool(other.payload_bits) == bool(target.limits.payload_bits)
        if other.cores <= target.limits.cores or not alike:
            continue  # smaller, or another generation of neurons
        if check_values(program.populations, program.projections, other):
            continue
        try:
            count = sum(s.blocks for s in _splits(program, other).values())
        except FitError:
            continue
        if count <= other.cores:
            return replace(
                problem,
                hint=f"the smallest listed target that fits is {name} "
                f"({count} of {other.cores} cores)",
            )
    return replace(
        problem, hint="no listed target is large enough: use fewer channels, tokens or blocks"
    )
