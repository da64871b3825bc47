"""Is a placement legal? Measured again from the blocks, whoever made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.errors import FitError, Problem
from ...ir.connections import permutation
from ...ir.fan_in import FanIn
from ...ir.placed import Block, PlacedProgram, Usage
from ...ir.program import Population, Program, Projection
from ...targets.memory import (
    STRUCTURED_WORDS,
    channel_words,
    dense_axon_words,
    list_parts,
    map_entries,
    row_words,
    sparse_axon_words,
    stored_bits,
)
from ...targets.rules import check_core, check_values, neuron_groups
from ...targets.target import Limits, Target
from ...targets.widths import other_widths
from .partition import on_cores
from .usage import total


def check_placed(placed: PlacedProgram, target: Target) -> None:
    """Every neuron on exactly one core, every core within every limit of `target`.

    Usage is counted anew from the neurons of each block, by other code than the mapping's; the
    blocks' own figures must not be lower. Axons are counted where the target limits them. Raises
    FitError with all problems: SFX-E406 other widths, E410..E428 a limit, E430 a neuron on no core
    or on two, E431 a core that is not there, E432 a block that takes more than it records.
    """
    program, limits = placed.program, target.limits
    problems = check_values(program.populations, program.projections, limits)
    other = other_widths(program, target)
    problems += [] if other is None else [other]
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
        mine = by_population[name]
        if any(prod(b.tile.axes) != population.size for b in mine):
            what = f"has a tile of other axes than its {population.size} neurons"
            problems.append(Problem("SFX-E430", name, what))
            continue
        times = _times(mine, population)
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


def _times(blocks: Sequence[Block], population: Population) -> NDArray[np.uint16]:
    """How many blocks hold each neuron."""
    times = np.zeros(population.size, dtype=np.uint16)
    for b in blocks:
        part = b.tile.of(times)
        part += 1
    return times


def _usage(placed: PlacedProgram, limits: Limits) -> list[Problem]:
    measured = measure(placed, limits)
    problems = []
    by_core: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (b, usage) in enumerate(zip(placed.blocks, measured, strict=True)):
        by_core[b.chip, b.core].append(i)
        if not _covers(b.usage, usage):
            problems.append(
                Problem("SFX-E432", b.population, f"records {b.usage}, measured {usage}")
            )
    for (chip, core), members in by_core.items():
        usage = total(measured[i] for i in members)
        populations = sorted({placed.blocks[i].population for i in members})
        where = f"chip {chip} core {core} ({' and '.join(populations)})"
        problems += check_core(where, usage, limits)
        crowded = neuron_groups(where, len(populations), limits)
        problems += [] if crowded is None else [crowded]
    return problems


def _covers(recorded: Usage, measured: Usage) -> bool:
    """Neurons are what they are; the rest may be recorded too high, never too low."""
    return (
        (recorded.neurons, recorded.stateful) == (measured.neurons, measured.stateful)
        and recorded.synapse_words >= measured.synapse_words
        and recorded.axons_in >= measured.axons_in
        and recorded.axons_out >= measured.axons_out
    )


def measure(placed: PlacedProgram, limits: Limits) -> list[Usage]:
    """The usage of every block, counted from the connections and the blocks' neurons.

    Axons are 0 where the target does not limit them: counting neurons costs by far the most.
    """
    program, lists = placed.program, limits.lists
    axons = bool(limits.axons_in_per_core or limits.axons_out_per_core) and not lists
    counter = _Counter(placed, axons=axons)
    measured: list[tuple[int, int, int, int]] = []
    for b in placed.blocks:
        population = program[b.population]
        indices = b.indices
        words = sum(counter.words(j, indices, limits) for j in program.incoming[b.population])
        axons_in = counter.axons_in(b.population, indices) if axons else 0
        if lists:
            into = program.incoming[b.population]
            axons_in = sum(counter.entries(j, indices) for j in into)
            counter.sent[len(measured)] = counter.map_entries(b.population, indices)
        stateful = indices.size if population.stateful else 0
        measured.append((indices.size, words, axons_in, stateful))
    return [
        Usage(n, words, axons_in, int(sent), stateful)
        for (n, words, axons_in, stateful), sent in zip(measured, counter.sent, strict=True)
    ]


def _distinct(values: IntArray, most: int) -> int:
    """How many different values, each below `most`."""
    seen = np.zeros(most, dtype=bool)
    seen[values] = True
    return int(np.count_nonzero(seen))


class _Counter:
    """Counts by neuron indices; holds what is common to all blocks."""

    def __init__(self, placed: PlacedProgram, *, axons: bool) -> None:
        self.program = program = placed.program
        self.sent = np.zeros(len(placed.blocks), dtype=np.int64)
        self.owner: dict[str, IntArray] = {}
        if axons:
            for i, b in enumerate(placed.blocks):
                size = program[b.population].size
                self.owner.setdefault(b.population, np.full(size, -1, np.int64))[b.indices] = i
        self.fans: dict[str, FanIn] = {}
        self.bits: dict[str, int] = {}
        self.views: dict[str, IntArray] = {}

    def _fan(self, j: Projection) -> FanIn:
        if j.name not in self.fans:
            self.fans[j.name] = FanIn(j, self.program[j.pre].size, self.program[j.post].size)
        return self.fans[j.name]

    def words(self, j: Projection, indices: IntArray, limits: Limits) -> int:
        if j.name not in self.bits:
            self.bits[j.name] = stored_bits(j, limits)
        bits = self.bits[j.name]
        match j.connection.storage:
            case "dense":
                return self.program[j.pre].size * dense_axon_words(indices.size, bits, limits)
            case "sparse":
                _, synapses = self._fan(j).into(indices)
                return int(sparse_axon_words(synapses, indices.size, bits, limits).sum())
            case "kernel":
                present, weights = self._present(j, indices), j.connection.kernel().weights
                if limits.lists:
                    return weights * int(channel_words(present, bits, limits).sum())
                return row_words(int(present.sum()) * weights, bits, limits)
            case "pattern":
                return STRUCTURED_WORDS

    def _present(self, j: Projection, indices: IntArray) -> IntArray:
        """Out channels of each group of a kernel that have a neuron among these [groups]."""
        kernel = j.connection.kernel()
        if j.post_view is not None and j.name not in self.views:
            self.views[j.name] = permutation(j.post_view, self.program[j.post].size)
        at = indices if j.post_view is None else self.views[j.name][indices]
        present = np.zeros(kernel.channels, dtype=np.int64)
        present[at // kernel.positions] = 1
        in_group: IntArray = present.reshape(kernel.groups, -1).sum(axis=1)
        return in_group

    def entries(self, j: Projection, indices: IntArray) -> int:
        """Axons in of a projection where synapses are lists."""
        match j.connection.storage:
            case "dense":
                return self.program[j.pre].size
            case "sparse":
                return int(self._fan(j).into(indices)[0].size)
            case "kernel":
                return int(list_parts(self._present(j, indices)).sum())
            case "pattern":
                return 1

    def map_entries(self, name: str, indices: IntArray) -> int:
        """Axon map entries of a block where synapses are lists: by places and channels of the input
        of each kernel, else by neurons.
        """
        into: dict[str, int] = {}
        for j in self.program.outgoing[name]:
            entries = indices.size
            wiring = j.connection.wiring() if j.connection.storage == "kernel" else None
            if wiring is not None and j.pre_view is None:
                each = prod(wiring.pre[1:])
                channels = _distinct(indices // each, wiring.pre[0])
                places = _distinct(indices % each, each)
                if channels * places == entries:  # a box of the input
                    entries = int(map_entries(np.array([places]), np.array([channels]))[0])
            into[j.post] = max(into.get(j.post, 0), entries)
        return sum(into.values()) if into else int(indices.size)

    def axons_in(self, name: str, indices: IntArray) -> int:
        """Axons in of a block; adds to `sent` of the blocks that feed it."""
        found: dict[str, list[IntArray]] = {}
        for j in self.program.incoming[name]:
            found.setdefault(j.pre, []).append(self._fan(j).into(indices)[0])
        count = 0
        for pre, parts in found.items():
            axons = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
            count += axons.size
            if pre in self.owner:
                self.sent += np.bincount(self.owner[pre][axons], minlength=self.sent.size)
        return count
