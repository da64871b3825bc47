"""How full each core is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ...ir.placed import PlacedProgram, Usage
from ...targets.target import Limits, Target
from .usage import total


@dataclass(frozen=True)
class CoreUsage:
    """One core in use: where, whose neurons, how much of it, and the fullest resource.

    shares  resource -> used / limit; resources whose limit is not public are left out
    """

    chip: int
    core: int
    populations: tuple[str, ...]
    usage: Usage
    shares: dict[str, float]

    @property
    def binds(self) -> str:
        """The resource with the largest share."""
        return max(self.shares, key=lambda name: self.shares[name])


def utilization(placed: PlacedProgram, target: Target) -> tuple[CoreUsage, ...]:
    """Every core in use, by chip and core."""
    by_core: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, block in enumerate(placed.blocks):
        by_core[block.chip, block.core].append(i)
    rows = []
    for (chip, core), members in sorted(by_core.items()):
        usage = total(placed.blocks[i].usage for i in members)
        held = tuple(dict.fromkeys(placed.blocks[i].population for i in members))
        rows.append(CoreUsage(chip, core, held, usage, shares(usage, target.limits)))
    return tuple(rows)


def shares(usage: Usage, limits: Limits) -> dict[str, float]:
    """used / limit of every resource whose limit is public."""
    pairs = {
        "synapse_words": (usage.synapse_words, limits.synapse_words_per_core),
        "axons_in": (usage.axons_in, limits.axons_in_per_core),
        "axons_out": (usage.axons_out, limits.axons_out_per_core),
    }
    neurons = {"neurons": limits.neuron_share(usage.neurons, usage.stateful)}
    return neurons | {name: used / limit for name, (used, limit) in pairs.items() if limit}
