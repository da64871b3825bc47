"""Search: the partition and packing that suit an objective best.

cores    as few cores as possible, then few messages
latency  of maps whose busiest core is nearly as idle as the fewest chips allow, few messages
energy   of these, and of nets levelled over fewer cores, what is expected to take least energy
intel    as Intel's compiler cuts, to tell how many cores it would take: each population on cores
         of its own
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.errors import InputError
from ...ir.program import Program
from ...targets.target import Target
from .arrange import length
from .demand import Rates, rates, seconds_per_neuron
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
NEARLY = 1.25
"""Maps whose busiest core is busy at most so many times the least found compete by how far their
messages travel: the constants of a step's time are not known better than that."""
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
"""Of the cores of the quickest map: over how many a net is levelled to save energy."""
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
        each = [p.busy for p in self.partition.pieces]
        busy: Array = np.bincount(self.core, weights=each, minlength=self.cores).astype(np.float64)
        return busy

    @property
    def busiest(self) -> float:
        """Expected seconds a step of the busiest core."""
        return float(self.busy.max(initial=0.0))


class Search:
    """All tries for one Program and target share their measurements."""

    def __init__(self, program: Program, target: Target, known: Rates) -> None:
        self.target = target
        self.parts = Partitioner(program, target.limits)
        rate = rates(program, known)
        taking = target.costs.get("t_message_in")
        message = taking.value if taking is not None else 0.0
        self.goals = PartitionGoals(
            1.0, seconds_per_neuron(program, target, rate), rate, seconds_per_message=message
        )
        self.order = {p.name: i for i, p in enumerate(program)}
        self.bound, self.binds = self.parts.lower_bound()

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
        quick = self.quickest(few)
        if objective == "latency":
            return quick
        fewer = [self._over(few, max(1, round(quick.cores * part))) for part in FEWER]
        return min((quick, *fewer, few), key=self.energy)

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

    def quickest(self, few: Packed) -> Packed:
        """The busiest core nearly as idle as the cores of the fewest chips allow, short ways.

        Messages count because they bind next: on the links between chips even first.
        """
        limits = self.target.limits
        for stretch in STRETCHES:
            chips = ceil(stretch * few.cores / limits.cores_per_chip)
            budget = min(chips, limits.chips) * limits.cores_per_chip
            found = self._levels(few, budget)
            if found:
                most = NEARLY * min(t.busiest for t in found)
                best = min((t for t in found if t.busiest <= most), key=self._way)
                return self.regrouped(best, most)
        return few

    def _way(self, packed: Packed) -> tuple[float, int]:
        limits = self.target.limits
        chips = ceil(packed.cores / limits.cores_per_chip)
        return round(length(packed.traffic, limits, chips), 6), packed.cores

    def _over(self, few: Packed, budget: int) -> Packed:
        """Levelled over about `budget` cores, the way that takes least energy; `few` if none."""
        found = self._levels(few, budget)
        if not found:
            return few
        best = min(found, key=self.energy)
        return self.regrouped(best, NEARLY * best.busiest)

    def _levels(self, few: Packed, budget: int) -> list[Packed]:
        """What levels the net over about `budget` cores."""
        found: list[Packed] = []
        for i, wanted in enumerate(LEVELS):
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
        sent = traffic(flows(done, self.goals.rate), core, cores)
        return Packed(done, core, sent, self.bound, self.binds)

    def energy(self, packed: Packed) -> float:
        """Joules a step that differ between maps: messages, and static power for its time."""
        cost = {name: q.value for name, q in self.target.costs.items()}
        chips = -(-packed.cores // self.target.limits.cores_per_chip)
        seconds = max(packed.busiest, cost["t_barrier"])
        static = chips * (cost["p_static"] * seconds + cost.get("e_step", 0.0))
        return cost["k"] * cost["e_message"] * packed.traffic.packets + static
