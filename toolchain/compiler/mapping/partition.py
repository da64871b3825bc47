"""Partition: every population into equal tiles, each of which fits one core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.errors import FitError, Problem
from ...ir.placed import Tile, Usage
from ...ir.program import Population, Program, Shape
from ...targets.rules import axons_out, check_core
from ...targets.target import Limits
from .axes import tile_axes
from .demand import Rates
from .grid import Grid, Grids, grids
from .overlap import Pairs, overlap
from .usage import Meter, describe, map_entries


@dataclass(frozen=True)
class Piece:
    """A block that has no core yet. busy: seconds it keeps a core busy in a step (expected)."""

    population: str
    tile: Tile
    usage: Usage
    busy: float


@dataclass(frozen=True, eq=False)
class Partition:
    """All pieces, population after population, and who of them sends to whom.

    first  population -> index of its first piece; its tiles follow in the grid's order
    pairs  (projection's pre, post, pairs of tiles), one entry per distinct wiring
    hosted population without cores -> its neurons
    """

    pieces: tuple[Piece, ...]
    grids: Mapping[str, Grid]
    first: Mapping[str, int]
    pairs: tuple[tuple[str, str, Pairs], ...]
    hosted: Mapping[str, int]

    def sizes(self, name: str) -> IntArray:
        """Neurons of every piece of a population [pieces]; of a host's population [1]."""
        if name in self.grids:
            return self.grids[name].neurons()
        return np.array([self.hosted[name]], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class PartitionGoals:
    """What a partition is to be good at.

    largest_share       share of a core that a tile may take (1: a core of its own)
    largest_filler      the same for tiles that leave their core idle for half of `most_seconds`:
                        small enough to fill the space beside those that keep a core busy
    seconds_per_neuron  by population, in a step
    most_seconds        that a core may be busy in a step; 0: as long as it likes
    rate                events per neuron and step, by population; they weigh messages
    seconds_per_message that receiving one costs a core; 0: not known
    core_tolerance      grids that need at most this many times the fewest cores compete by their
                        messages
    """

    largest_share: float
    seconds_per_neuron: Mapping[str, float]
    rate: Rates
    most_seconds: float = 0.0
    seconds_per_message: float = 0.0
    core_tolerance: float = 1.1
    largest_filler: float = 1.0


def on_cores(program: Program) -> tuple[Population, ...]:
    """The populations that need cores: inputs and clocks come from the host."""
    return tuple(p for p in program if not p.neuron.driven)


class Partitioner:
    """Cuts the populations of one Program for one target; keeps what all cuts have in common."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self.program, self.limits = program, limits
        self.meters = {
            p.name: Meter(program, p, tile_axes(program, p), limits) for p in on_cores(program)
        }
        self.candidates = {name: grids(m.axes) for name, m in self.meters.items()}
        self._pairs: dict[tuple[str, Grid, Grid], Pairs] = {}
        self._known_words: dict[tuple[str, tuple[int, ...]], int] = {}
        self._known_usage: dict[tuple[str, Shape, Shape], Usage] = {}

    def partition(self, goals: PartitionGoals) -> Partition:
        """Pieces that suit the goals; every one fits a core. Raises FitError as `plan` does."""
        return self.measured(self.plan(goals), goals)

    def plan(self, goals: PartitionGoals) -> dict[str, Grid]:
        """Grids that suit the goals, each population by itself.

        Raises FitError: SFX-E410..E413 with what binds, of all populations that cannot be cut.
        """
        chosen: dict[str, Grid] = {}
        problems: list[Problem] = []
        for name in self.meters:
            found = self._choose(name, goals)
            if isinstance(found, Grid):
                chosen[name] = found
            else:
                problems.append(found)
        if problems:
            raise FitError.of(problems)
        return chosen

    def lower_bound(self) -> tuple[int, str]:
        """No mapping needs fewer cores, and the resource that says so.

        All neurons over what a core holds, or every weight stored once over its memory.
        """
        neurons = words = 0.0
        for name, meter in self.meters.items():
            size = meter.population.size
            neurons += self.limits.neuron_share(size, size if self._stateful(name) else 0)
            words += int(meter.least_words(np.array([meter.axes], dtype=np.int64))[0])
            words += sum(
                j.connection.weights.size
                * (meter.bits[j.name] + self.limits.synapse_index_bits)
                / self.limits.word_bits
                for j in meter.incoming
                if j.connection.storage == "sparse"
            )
        bounds = {"neurons": neurons, "synapse_words": words / self.limits.synapse_words_per_core}
        binds = max(bounds, key=lambda r: bounds[r])
        return max(1, ceil(bounds[binds] - 1e-6)), binds

    def _stateful(self, name: str) -> bool:
        return self.meters[name].population.stateful

    def measured(self, chosen: dict[str, Grid], goals: PartitionGoals) -> Partition:
        """The partition by these grids, made finer where axons out need it."""
        while True:
            done = self.measure(chosen, goals)
            finer = self._too_full(done, goals)
            if not finer:
                return done
            chosen = chosen | finer

    # --- one population -----------------------------------------------------------------------

    def _choose(self, name: str, goals: PartitionGoals, at_least: int = 1) -> Grid | Problem:
        meter, tries = self.meters[name], self.candidates[name]
        space, busy = self._shares(name, tries, goals)
        share = np.maximum(space, busy)
        whole, filler = goals.largest_share, min(goals.largest_filler, goals.largest_share)
        most = np.where(busy < 0.5 * whole, filler, whole)
        fits = (share <= most) & (tries.blocks >= at_least)
        if not fits.any():  # a share smaller than one neuron: whatever is legal
            fits = (share <= 1) & (tries.blocks >= at_least)
        legal, share = tries.keep(fits), share[fits]
        if not len(legal):
            return self._one_neuron(name)
        order = self._order(name, legal, share, goals)
        if meter.regular:
            return legal[int(order[0])]
        return self._first_fit(name, legal.keep(order)) or self._one_neuron(name)

    def _shares(
        self, name: str, tries: Grids, goals: PartitionGoals
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of a core that the largest tile of each grid takes: of its space (the
        scarcest resource) and of its time.
        """
        meter, limits = self.meters[name], self.limits
        neurons = tries.neurons
        shares: list[NDArray[np.float64]] = [
            neurons / self.most_neurons(name),
            meter.least_words(tries.lengths) / limits.synapse_words_per_core,
        ]
        if limits.axons_in_per_core:
            shares.append(meter.axons_in(tries.lengths) / limits.axons_in_per_core)
        space: NDArray[np.float64] = np.max(np.broadcast_arrays(*shares), axis=0)
        if not goals.most_seconds:
            return space, np.zeros(len(tries))
        busy = (
            neurons * goals.seconds_per_neuron[name] + self._message_seconds(name, tries, goals)
        ) / goals.most_seconds
        # one neuron may be slower than asked: then it has the core for itself
        return space, np.where(neurons > 1, busy, np.minimum(busy, goals.largest_share))

    def _message_seconds(
        self, name: str, tries: Grids, goals: PartitionGoals
    ) -> NDArray[np.float64]:
        """Seconds a step that receiving messages costs the core of a tile."""
        out = np.zeros(len(tries))
        for j in self.meters[name].incoming if goals.seconds_per_message else ():
            axons = self.meters[name].drivers(tries.lengths, j)
            out += goals.seconds_per_message * goals.rate[j.pre] * axons
        return out

    def _order(
        self, name: str, legal: Grids, share: NDArray[np.float64], goals: PartitionGoals
    ) -> IntArray:
        """Best first: fewest cores if each held tiles of this population only, then messages."""
        per_core = np.floor(1 / np.maximum(share, 1e-9) + 1e-9)
        cores = np.where(legal.blocks >= per_core, legal.blocks / per_core, legal.blocks * share)
        meter = self.meters[name]
        sent = np.zeros(len(legal))
        for j in meter.incoming:
            sent += goals.rate[j.pre] * legal.blocks * meter.drivers(legal.lengths, j)
        spread = np.ptp(legal.lengths, axis=1)
        few = cores > goals.core_tolerance * cores.min()
        keys = (spread, legal.blocks, np.round(sent, 6), np.where(few, cores, 0))
        order: IntArray = np.lexsort(keys)
        return order

    def _first_fit(self, name: str, tries: Grids) -> Grid | None:
        """Irregular populations: by fewest blocks, gallop to a grid that fits, bisect the gap."""
        tries = tries.keep(np.argsort(tries.blocks, kind="stable"))
        good, step, bad = 0, 1, -1
        while not self.fits(name, tries[good]):
            if good == len(tries) - 1:
                return None
            bad, good, step = good, min(good + step, len(tries) - 1), step * 2
        while good - bad > 1:
            middle = (good + bad) // 2
            if self.fits(name, tries[middle]):
                good = middle
            else:
                bad = middle
        return tries[good]

    def most_neurons(self, name: str) -> int:
        """Neurons of a population that one core holds, memory aside."""
        with_state = self.limits.stateful_neurons_per_core if self._stateful(name) else 0
        return with_state or self.limits.neurons_per_core

    def fits(self, name: str, grid: Grid) -> bool:
        """Does every sampled tile fit a core? (Axons out aside: they depend on the others.)"""
        if grid.neurons().max() > self.most_neurons(name):
            return False
        return not any(
            check_core("", self.usage(name, grid.tile(b)), self.limits) for b in grid.samples()
        )

    def usage(self, name: str, tile: Tile, axons: int | None = None) -> Usage:
        """What a tile takes of a core; axons in are counted unless given."""
        meter = self.meters[name]
        if axons is None:
            axons = meter.counted_axons_in(tile) if self.limits.axons_in_per_core else 0
        stateful = tile.neurons if self._stateful(name) else 0
        return Usage(tile.neurons, self._words(name, tile), axons, 0, stateful)

    def _list_usage(self, name: str, tile: Tile) -> Usage:
        """The usage with axon map entries, where synapses are lists: equal for equal lengths."""
        key = (name, tile.axes, tile.lengths)
        found = self._known_usage.get(key)
        if found is None:
            found = replace(self.usage(name, tile), axons_out=map_entries(self.program, name, tile))
            if self.meters[name].regular:
                self._known_usage[key] = found
        return found

    def _words(self, name: str, tile: Tile) -> int:
        meter, key = self.meters[name], (name, tile.lengths)
        if not meter.regular or tile.axes != meter.axes:
            return meter.words(tile)
        if key not in self._known_words:
            self._known_words[key] = meter.words(tile)
        return self._known_words[key]

    def _one_neuron(self, name: str) -> Problem:
        """What keeps even a core of its own from holding one neuron of the population."""
        meter = self.meters[name]
        singles = Grid(meter.axes, meter.axes)
        for block in singles.samples():
            tile = singles.tile(block)
            where = describe(meter.population, tile)
            problems = check_core(where, self.usage(name, tile), self.limits)
            if problems:
                return problems[0]
        raise AssertionError(f"{name}: one neuron fits, yet no grid was found")

    # --- all populations together -------------------------------------------------------------

    def measure(self, chosen: Mapping[str, Grid], goals: PartitionGoals) -> Partition:
        """The partition by these grids, legal or not."""
        pairs = self._all_pairs(chosen)
        first, count = {}, 0
        for name, grid in chosen.items():
            first[name] = count
            count += grid.blocks
        axons, sent = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        lists = self.limits.lists
        message_seconds = np.zeros(count)
        for pre, post, found in pairs:
            received = goals.seconds_per_message * goals.rate[pre] * found.neurons
            np.add.at(message_seconds, first[post] + found.post, received)
            if lists:
                continue
            np.add.at(axons, first[post] + found.post, found.neurons)
            if pre in first:
                np.add.at(sent, first[pre] + found.pre, found.neurons)
        busy = message_seconds.tolist()
        pieces = []
        for name, grid in chosen.items():
            each = goals.seconds_per_neuron[name]
            for i, tile in enumerate(grid.tiles(), first[name]):
                if lists:
                    usage = self._list_usage(name, tile)
                else:
                    usage = self.usage(name, tile, int(axons[i]))
                    usage = replace(usage, axons_out=int(sent[i]))
                pieces.append(Piece(name, tile, usage, usage.neurons * each + busy[i]))
        hosted = {p.name: p.size for p in self.program if p.name not in chosen}
        return Partition(tuple(pieces), chosen, first, pairs, hosted)

    def _all_pairs(self, chosen: Mapping[str, Grid]) -> tuple[tuple[str, str, Pairs], ...]:
        out = []
        for post, grid in chosen.items():
            seen: set[object] = set()
            for j in self.program.incoming[post]:
                pre = chosen.get(j.pre) or _host(self.program[j.pre])
                wiring = (j.pre, repr(self._wiring(j.name, post)))
                if wiring in seen:
                    continue  # the same axons once more, onto another port
                seen.add(wiring)
                key = (j.name, pre, grid)
                if key not in self._pairs:
                    self._pairs[key] = overlap(self.program, j, pre, grid)
                out.append((j.pre, post, self._pairs[key]))
        return tuple(out)

    def _wiring(self, name: str, post: str) -> object:
        found = self.meters[post].patterns[name]
        if found is None:
            return name
        relations = [None if x.relation is None else x.relation.tobytes() for x in found.links]
        return (found.pre, found.post, [(x.pre, x.post) for x in found.links], relations)

    def _too_full(self, done: Partition, goals: PartitionGoals) -> dict[str, Grid]:
        """Finer grids where a tile breaks a rule; raises FitError if there is none."""
        again: dict[str, Grid] = {}
        for name, grid in done.grids.items():
            start = done.first[name]
            mine = done.pieces[start : start + grid.blocks]
            full = {u for u in {p.usage for p in mine} if check_core("", u, self.limits)}
            problems = [
                p
                for piece in mine
                if piece.usage in full
                for p in check_core(
                    describe(self.program[name], piece.tile), piece.usage, self.limits
                )
            ]
            if not problems:
                continue
            finer = self._choose(name, goals, self._next_blocks(grid, mine))
            if grid.blocks >= self.program[name].size or not isinstance(finer, Grid):
                raise FitError.of(problems[:1])
            again[name] = finer
        return again

    def _next_blocks(self, grid: Grid, pieces: tuple[Piece, ...]) -> int:
        """At least one more; as many as the axons out need, since those halve with the tile."""
        most = max((p.usage for p in pieces), key=lambda u: u.axons_out)
        if not axons_out("", most, self.limits):
            return grid.blocks + 1
        more = grid.blocks * most.axons_out // self.limits.axons_out_per_core
        return max(grid.blocks + 1, min(more, int(np.prod(grid.axes))))


def _host(population: Population) -> Grid:
    """Populations without cores are one tile, at the host."""
    return Grid(population.shape or (1,), (1,) * max(len(population.shape), 1))
