"""Energy of one sample from event counts: a pure function of the counts and the constants.

    E_dyn = steps * chips * E0 + k * sum over events of count * energy
    E_static = P_static * chips * time

Event energies are those of SANA-FE's Loihi 1 architecture file; k and E0 are fits to two
measurements on Loihi 2 chips (see the sources in the target's file).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ...targets.target import Target
from .estimate import Estimate, charge, constant, zero


@dataclass(frozen=True)
class Events:
    """What happens during one sample, in counts (means over samples, so not whole).

    synops    synaptic operations, by how the synapses are stored
    accesses  neurons x steps (every mapped neuron is visited at every step)
    updates   of those, the ones with input or a state to update
    fired     spikes of neurons on cores
    messages  one per spike and distinct destination core, spikes from the host included
    hops      router to router, along E-W and N-S
    """

    synops_dense: float = 0.0
    synops_sparse: float = 0.0
    synops_conv: float = 0.0
    accesses: float = 0.0
    updates: float = 0.0
    fired: float = 0.0
    messages: float = 0.0
    hops_ew: float = 0.0
    hops_ns: float = 0.0

    def __add__(self, other: Events) -> Events:
        return Events(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def synops(self) -> float:
        """All synaptic operations."""
        return self.synops_dense + self.synops_sparse + self.synops_conv


PARTS = {
    "synapses": {
        "e_synop_dense": "synops_dense",
        "e_synop_sparse": "synops_sparse",
        "e_synop_conv": "synops_conv",
    },
    "neurons": {"e_access": "accesses", "e_update": "updates", "e_fired": "fired"},
    "network": {"e_message": "messages", "e_hop_ew": "hops_ew", "e_hop_ns": "hops_ns"},
}
"""Part of the dynamic energy -> cost name -> field of Events that it is charged for."""


def event_energy(events: Events, target: Target) -> dict[str, Estimate]:
    """Per part (synapses, neurons, network) the joules of these events, k included."""
    k = constant(target.costs, "k")
    if k is None:
        raise AssertionError("every target has k")
    parts = {}
    for part, charged in PARTS.items():
        counts = {cost: getattr(events, field) for cost, field in charged.items()}
        parts[part] = charge(target.costs, counts, "J").times(k, "J")
    return parts


def dynamic_parts(events: Events, steps: float, chips: int, target: Target) -> dict[str, Estimate]:
    """The parts of `event_energy` plus `steps`: the floor E0 per hardware step and chip."""
    floor = constant(target.costs, "e_step")
    step_energy = zero("J") if floor is None else floor.scaled(steps * chips)
    return event_energy(events, target) | {"steps": step_energy}


def dynamic_energy(events: Events, steps: float, chips: int, target: Target) -> Estimate:
    """Dynamic energy of one sample of `steps` hardware steps on `chips` chips.

    Small nets are predicted worse: below `widen_below` the range is widened by its factors.
    """
    total = sum(dynamic_parts(events, steps, chips, target).values(), zero("J"))
    widen = target.costs.get("widen_below")
    if widen is None or total.value >= widen.value:
        return total
    return replace(
        total,
        low=total.low * widen.low,
        high=total.high * widen.high,
        constants=(*total.constants, "widen_below"),
    )


def static_energy(seconds: Estimate, chips: int, target: Target) -> Estimate:
    """Static power of the chips in use times the time of one sample."""
    power = constant(target.costs, "p_static")
    if power is None:
        raise AssertionError("every target has p_static")
    return power.scaled(chips).times(seconds, "J")
