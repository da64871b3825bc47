"""Search: the partition and packing that suit an objective best.

cores    as few cores as possible, then few messages
latency  the shortest step: of work on cores, messages of the host, links and barrier the largest
energy   the least energy: messages, and static power for as long as a step takes
intel    as Intel's compiler cuts, to tell how many cores it would take: each population on cores
         of its own

Latency and energy choose from one pool: the map of fewest cores, Intel's, and nets levelled over
more and over fewer cores. What each is expected to take has the terms that reports charge
(`expected`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.errors import InputError
from ...ir.program import Program
from ...targets.target import Target
from .arrange import roughly
from .demand import Rates, message_bits, rates, seconds_per_neuron
from .expected import Expected, Work, expected
from .flows import flows
from .intel import intel
from .pack import level, most_groups, pack, renumbered, shares
from .partition import Partition, Partitioner, PartitionGoals
from .regroup import Room, regroup
from .traffic import Traffic, traffic

Array = NDArray[np.float64]
OBJECTIVES = ("cores", "latency", "energy", "intel")
SHARES = (1.0, 0.5, 0.25)
AS_FEW = 1.02
"""Maps within so many times the fewest cores compete by their messages."""
ENOUGH = 1.05
"""Cores over the lower bound with which the search for fewer ends."""
WORTH = 1.02
"""Maps over fewer cores are tried for speed where the best step is more than so many times the
work of its busiest core: then messages bind."""
NEARLY = 1.25
"""Maps of a small net whose step is at most so many times the shortest compete by their energy: the
constants of a step's time are not known better than that."""
STRETCHES = (1.0, 1.15, 1.4, 2.0)
"""Times the fewest cores: over how many chips a net is levelled, the first that work."""
LEVELS = (
    (1.25, 1.0, 1.0),
    (1.25, 0.5, 0.5),
    (1.0, 1.0, 0.75),
    (1.0, 1.0, 0.35),
    (1.0, 0.5, 0.5),
    (1.0, 0.25, 0.25),
)
"""(times the mean that a tile may keep a core busy, largest share, largest filler) of what is tried
to level a net: large tiles send few messages."""
FEWER = (0.75, 0.5, 0.25)
"""Of the cores of the levelled maps: over how many a net is levelled besides, to save messages."""
FEW_PIECES = 3000
"""Maps of at most so many pieces are regrouped before they are compared; of larger nets the best.
"""
MOST_ARRANGED = 4
"""Maps of a larger net that are arranged before they are compared."""
REGROUPED = 0.9
"""What regrouping is taken to leave of a figure at least."""
STRAY = 1.3
"""Levelled maps may need so many times the cores they were meant for."""
COARSE = 4
"""The first so many are all tried, finer ones only if none of them fits."""


@dataclass(frozen=True, eq=False)
class Packed:
    """Pieces and the core of each, numbered from 0. bound: no map needs fewer cores."""

    partition: Partition
    core: IntArray
    traffic: Traffic
    bound: int
    binds: str

    @property
    def cores(self) -> int:
        """Cores in use."""
        return self.traffic.from_host.size

    @cached_property
    def busy(self) -> Array:
        """Expected seconds a step of each core."""
        return self.over_cores([p.busy for p in self.partition.pieces])

    @property
    def busiest(self) -> float:
        """Expected seconds a step of the busiest core."""
        return float(self.busy.max(initial=0.0))

    def over_cores(self, each: Sequence[float]) -> Array:
        """The sums of each core [cores] of what its pieces have."""
        sums: Array = np.bincount(self.core, weights=each, minlength=self.cores).astype(np.float64)
        return sums


class Search:
    """All tries for one Program and target share their measurements."""

    def __init__(self, program: Program, target: Target, known: Rates) -> None:
        self.target = target
        self.parts = Partitioner(program, target.limits)
        rate = rates(program, known)
        taking = target.costs.get("t_message_in")
        message = taking.value if taking is not None else 0.0
        self.seconds = seconds_per_neuron(program, target, rate)
        self.width = message_bits(program, target)
        busy = {name: max(seconds) for name, seconds in self.seconds.items()}
        self.goals = PartitionGoals(1.0, busy, rate, seconds_per_message=message)
        self.order = {p.name: i for i, p in enumerate(program)}
        self.bound, self.binds = self.parts.lower_bound()
        self._expected: dict[Packed, Expected] = {}
        self._known: dict[Packed, Packed] = {}

    def best(self, objective: str) -> Packed:
        """Raises InputError (SFX-E403) for an unknown objective, FitError as `partition` does."""
        if objective not in OBJECTIVES:
            raise InputError(
                "SFX-E403",
                f"there is no objective '{objective}'",
                hint=f"one of: {', '.join(OBJECTIVES)}",
            )
        few = self.fewest()  # which refuses what no map can hold, with value and limit
        if objective == "intel":
            return self.as_intel()
        if objective == "cores":
            return few
        return self._quickest(few) if objective == "latency" else self._thriftiest(few)

    def fewest(self) -> Packed:
        """As few cores as a handful of largest shares finds, then few messages."""
        tries = [self.packed(replace(self.goals, largest_share=s)) for s in SHARES]
        if min(t.cores for t in tries) > ENOUGH * self.bound:
            tries += [
                self.packed(replace(self.goals, largest_share=s, core_tolerance=1.02))
                for s in SHARES
            ]
        least = min(t.cores for t in tries)
        allowed = max(least, int(min(AS_FEW * least, max(ENOUGH * self.bound, least))))
        best = min(
            (t for t in tries if t.cores <= allowed),
            key=lambda t: (round(t.traffic.packets, 6), t.cores, len(t.core)),
        )
        return self.regrouped(best)

    def as_intel(self) -> Packed:
        """The rule of Intel's compiler, one piece a core."""
        done = self.parts.measure(intel(self.parts, self.goals), self.goals)
        return self._traffic(done, np.arange(len(done.pieces), dtype=np.int64))

    def _quickest(self, few: Packed) -> Packed:
        """The shortest step; of maps over fewer cores as well, unless work binds a levelled one.

        Of a small net the least energy of all maps that are nearly as quick, and not slower than
        any that another objective takes.
        """
        pool = self._pool(few)
        budgets = self._budgets(few, pool)
        if self._small(pool):
            return self._nearly_quickest([*pool, *self._fewer(few, budgets)])
        best = self._least(pool, lambda found: found.step)
        levelled = any(best.partition is p.partition for p in pool[2:])
        if not budgets or (levelled and self.expected(best).step <= WORTH * best.busiest):
            return best
        return self._least([best, *self._fewer(few, budgets)], lambda found: found.step)

    def _nearly_quickest(self, pool: list[Packed]) -> Packed:
        """pool: the map of fewest cores, Intel's, and others."""
        best = self._least(pool, lambda found: found.step)
        most = min(NEARLY * self.expected(best).step, *(self.expected(p).step for p in pool[:2]))
        tries = [best, *pool[:2]]
        for p in pool:
            if REGROUPED * self._at_least(p).step <= most:
                tries.append(self._calmed(p))
        quick = [p for p in tries if self.expected(p).step <= most]
        return min(quick, key=lambda p: (self.expected(p).joules, self.expected(p).step))

    def _small(self, pool: list[Packed]) -> bool:
        return all(len(p.core) <= FEW_PIECES for p in pool)

    def _thriftiest(self, few: Packed) -> Packed:
        """The least energy."""
        pool = self._pool(few)
        fewer = self._fewer(few, self._budgets(few, pool))
        return self._least([*pool, *fewer], lambda found: found.joules)

    def _pool(self, few: Packed) -> list[Packed]:
        """The map of fewest cores, Intel's if it fits, and what levels the net over the fewest
        chips that allow it.
        """
        limits, intel_s = self.target.limits, self.as_intel()
        pool = [few, intel_s if intel_s.cores <= limits.cores else few]
        for stretch in STRETCHES:
            chips = ceil(stretch * few.cores / limits.cores_per_chip)
            found = self._levels(few, min(chips, limits.chips) * limits.cores_per_chip)
            if found:
                return pool + found
        return pool

    def _budgets(self, few: Packed, pool: list[Packed]) -> list[int]:
        """Numbers of cores, fewer than those of the maps in `pool`, to level the net over."""
        most = max(p.cores for p in pool)
        budgets = {round(most * part) for part in FEWER if most * part > few.cores}
        least = few.cores
        while least < min(FEWER) * most:
            budgets.add(least)
            least *= 2
        return sorted(budgets)

    def _fewer(self, few: Packed, budgets: list[int]) -> list[Packed]:
        """What levels the net over so many cores."""
        return [found for budget in budgets for found in self._levels(few, budget, 2)]

    def _least(self, pool: list[Packed], figure: Callable[[Expected], float]) -> Packed:
        """The map in `pool` with the least figure; among equals the idlest cores, shortest ways.

        Maps that cannot be better even on links without limits are not arranged.
        """
        small = self._small(pool)
        bounds = [figure(self._at_least(p)) for p in pool]
        best, least = pool[0], (inf, inf, inf)
        order = np.argsort(bounds, kind="stable").tolist()
        for i in order if small else order[:MOST_ARRANGED]:
            if bounds[i] * (REGROUPED if small else 1.0) > least[0]:
                break
            tried = self._calmed(pool[i]) if small else pool[i]
            found = self.expected(tried)
            key = (figure(found), found.busiest, found.way)
            if key < least:
                best, least = tried, key
        return best if small else self._calmed(best)

    def _calmed(self, packed: Packed) -> Packed:
        """Regrouped, its busiest core no busier."""
        if packed not in self._known:
            self._known[packed] = self.regrouped(packed, packed.busiest)
        return self._known[packed]

    def expected(self, packed: Packed) -> Expected:
        """What a map takes, roughly arranged."""
        if packed not in self._expected:
            limits = self.target.limits
            chips = ceil(packed.cores / limits.cores_per_chip)
            way, place, slot = roughly(packed.traffic, limits, chips)
            self._expected[packed] = expected(
                self._work(packed), packed.traffic, self.target, (place, slot), way
            )
        return self._expected[packed]

    def _at_least(self, packed: Packed) -> Expected:
        """The same without links."""
        return expected(self._work(packed), packed.traffic, self.target)

    def _work(self, packed: Packed) -> Work:
        each = [(p.usage.neurons, self.seconds[p.population]) for p in packed.partition.pieces]
        return Work(
            packed.over_cores([n * seconds.update for n, seconds in each]),
            packed.over_cores([n * seconds.synapses for n, seconds in each]),
        )

    def _levels(self, few: Packed, budget: int, tries: int = len(LEVELS)) -> list[Packed]:
        """What levels the net over about `budget` cores."""
        found: list[Packed] = []
        for i, wanted in enumerate(LEVELS[:tries]):
            if i >= COARSE and found:
                break
            tried = self.levelled(few, budget, *wanted)
            if tried is not few:
                found.append(tried)
        return found

    def levelled(
        self, few: Packed, budget: int, slack: float, share: float, filler: float
    ) -> Packed:
        """Levelled over about `budget` cores; `few` if that fails or nothing is gained."""
        floor = self.target.costs["t_barrier"].value
        if few.busiest <= floor:
            return few
        most = max(slack * few.busy.sum() / budget, floor)
        goals = replace(self.goals, most_seconds=most, largest_share=share, largest_filler=filler)
        found = self.packed(goals, budget)
        fits = found.cores <= max(budget, min(STRAY * budget, self.target.limits.cores))
        return found if fits and found.busiest < few.busiest else few

    def packed(self, goals: PartitionGoals, budget: int = 0) -> Packed:
        """Cut, and pack onto few cores, or level over `budget` of them."""
        done = self.parts.partition(goals)
        group = np.array([self.order[p.population] for p in done.pieces], dtype=np.int64)
        share = shares(done.pieces, self.target.limits)
        busy = np.array([p.busy for p in done.pieces])
        groups = most_groups(self.target.limits, group)
        core = level(share, busy, group, groups, budget) if budget else pack(share, group, groups)
        return self._traffic(done, core)

    def regrouped(self, packed: Packed, most: float = inf) -> Packed:
        """Pieces that exchange messages on one core if they fit; none busy longer than `most`."""
        done = packed.partition
        share, busy = (
            shares(done.pieces, self.target.limits),
            np.array([p.busy for p in done.pieces]),
        )
        group = np.array([self.order[p.population] for p in done.pieces], dtype=np.int64)
        groups = most_groups(self.target.limits, group)
        room = Room(share, busy, group, groups, most)
        core = regroup(packed.core, room, flows(done, self.goals.rate))
        return self._traffic(done, renumbered(core))

    def _traffic(self, done: Partition, core: IntArray) -> Packed:
        cores = int(core.max(initial=-1)) + 1
        sent = traffic(flows(done, self.goals.rate, self.width), core, cores)
        return Packed(done, core, sent, self.bound, self.binds)
