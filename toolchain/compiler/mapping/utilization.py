"""How full each core is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields

from ...ir.placed import Block, PlacedProgram, Usage
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
        taken = shares(usage, target.limits)
        if target.limits.neuron_groups_per_core:
            taken["neuron_groups"] = len(held) / target.limits.neuron_groups_per_core
        rows.append(CoreUsage(chip, core, held, usage, taken))
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


@dataclass(frozen=True)
class LayerUsage:
    """One population, as a row of the tables that Intel's compiler prints.

    tile     lengths of its largest block along its axes
    cores    that hold neurons of it
    largest  per resource, the most that it takes of one core; mean: over its cores
    shares   resource -> largest / limit
    """

    population: str
    tile: tuple[int, ...]
    cores: int
    largest: Usage
    mean: dict[str, float]
    shares: dict[str, float]


def layers(placed: PlacedProgram, target: Target) -> tuple[LayerUsage, ...]:
    """Every population on cores, in the order of the Program: what it takes of them itself."""
    by_core: dict[str, dict[tuple[int, int], list[Block]]] = defaultdict(lambda: defaultdict(list))
    for block in placed.blocks:
        by_core[block.population][block.chip, block.core].append(block)
    rows = []
    for name, cores in by_core.items():
        usages = [total(b.usage for b in blocks) for blocks in cores.values()]
        largest = Usage(*(max(getattr(u, f.name) for u in usages) for f in fields(Usage)))
        mean = {f.name: sum(getattr(u, f.name) for u in usages) / len(cores) for f in fields(Usage)}
        tile = max((b.tile for blocks in cores.values() for b in blocks), key=lambda t: t.neurons)
        taken = shares(largest, target.limits)
        if target.limits.neuron_groups_per_core:
            taken["neuron_groups"] = 1 / target.limits.neuron_groups_per_core
        rows.append(LayerUsage(name, tile.lengths, len(cores), largest, mean, taken))
    return tuple(rows)
