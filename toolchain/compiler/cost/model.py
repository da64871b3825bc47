"""The cost model: a placed Program and event counts to energy, latency and what binds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.placed import PlacedProgram
from ...ir.program import NeuronProgram
from ...targets.links import Link
from ...targets.target import Target
from .activity import Activity, EventCounts
from .energy import (
    Events,
    dynamic_energy,
    dynamic_parts,
    event_energy,
    static_energy,
)
from .estimate import Estimate, zero
from .loads import Loads, count_loads
from .operations import LayerOperations, operations
from .proxy import SOURCE, Proxy
from .timing import Timing, timing


@dataclass(frozen=True)
class PopulationCost:
    """One population, per sample.

    energy  events charged to it (its synapses' operations, its neurons, the messages it sends),
            without the floor per step and without static power
    """

    name: str
    module: str
    kind: str
    neurons: int
    cores: int
    spikes: float
    rate: float
    events: Events
    energy: Estimate


@dataclass(frozen=True)
class CoreCost:
    """One core. synops, fired: per sample; peak_*: in its busiest step."""

    chip: int
    core: int
    populations: tuple[str, ...]
    neurons: int
    synops: float
    fired: float
    received: float
    sent: float
    peak_synops: float
    peak_received: float


@dataclass(frozen=True)
class Cost:
    """Energy and time of one sample (the mean of the samples counted), streamed back to back.

    links  bits per sample over every link in use
    """

    target: Target
    samples: int
    cores: int
    chips: int
    dynamic: Estimate
    static: Estimate
    parts: dict[str, Estimate]
    layers: tuple[LayerOperations, ...]
    timing: Timing
    events: Events
    chip_crossings: float
    links: tuple[Link, ...]
    populations: tuple[PopulationCost, ...]
    per_core: tuple[CoreCost, ...]

    @property
    def total(self) -> Estimate:
        """Dynamic plus static energy."""
        return self.dynamic + self.static

    @property
    def proxy(self) -> Proxy:
        """All layers' operations."""
        return Proxy.sum(layer.done for layer in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """`energy` and `latency` as plain values, each with its range and sources."""
        return {"energy": self._energy(), "latency": self._latency()}

    def _energy(self) -> dict[str, Any]:
        quantities = {
            "dynamic_j": self.dynamic,
            "static_j": self.static,
            "total_j": self.total,
            **{f"{name}_j": e for name, e in self.parts.items()},
        }
        proxies = {"op_proxy_j": self.proxy.snn_j, "op_proxy_ann_j": self.proxy.ann_j}
        return {
            **{name: e.value for name, e in quantities.items()},
            **proxies,
            "uncertainty": {name: e.range for name, e in quantities.items()}
            | {name: [value, value] for name, value in proxies.items()},
            "sources": self._sources(self.total) | {"op_proxy_j": SOURCE},
        }

    def _latency(self) -> dict[str, Any]:
        t = self.timing
        quantities = {
            "step_s": t.step,
            "latency_s": t.latency,
            "throughput_hz": t.throughput,
        }
        return {
            **{name: e.value for name, e in quantities.items()},
            "uncertainty": {name: e.range for name, e in quantities.items()},
            "bound_by": [
                {
                    "term": term.name,
                    "steps": term.steps,
                    "mean_s": term.mean.value,
                    "range_s": term.mean.range,
                    "core": None if term.core is None else list(term.core),
                    "populations": list(term.populations),
                }
                for term in t.terms
            ],
            "sources": self._sources(t.step),
        }

    def _sources(self, estimate: Estimate) -> dict[str, str]:
        return {name: self.target.costs[name].source for name in estimate.constants}


def estimate(placed: PlacedProgram, target: Target, counts: EventCounts) -> Cost:
    """What one sample costs on `target`, from the event counts of a run.

    Steady state: samples stream back to back, one every T hardware steps, so static power is
    charged for T steps. Raises ValueError if a population has no event counts.
    """
    program = placed.program
    activity = Activity.mean(program, counts)
    loads = count_loads(placed, target, activity)
    times = timing(loads, target, program.depth, placed.chips)
    events, steps = loads.total, program.timesteps
    return Cost(
        target=target,
        samples=counts.samples,
        cores=placed.cores,
        chips=placed.chips,
        dynamic=dynamic_energy(events, steps, placed.chips, target),
        static=static_energy(times.sample, placed.chips, target),
        parts=dynamic_parts(events, steps, placed.chips, target),
        layers=operations(program, activity),
        timing=times,
        events=events,
        chip_crossings=loads.chip_crossings,
        links=loads.links,
        populations=_populations(placed, target, activity, loads),
        per_core=_cores(loads),
    )


def _populations(
    placed: PlacedProgram, target: Target, activity: Activity, loads: Loads
) -> tuple[PopulationCost, ...]:
    cores: dict[str, set[tuple[int, int]]] = {}
    for b in placed.blocks:
        cores.setdefault(b.population, set()).add((b.chip, b.core))
    rows = []
    for p in placed.program:
        spikes = float(activity.events[p.name].sum())
        events = loads.events[p.name]
        rows.append(
            PopulationCost(
                p.name,
                p.module,
                kind_name(p.neuron),
                p.size,
                len(cores.get(p.name, ())),
                spikes,
                spikes / (p.size * activity.timesteps),
                events,
                sum(event_energy(events, target).values(), zero("J")),
            )
        )
    return tuple(rows)


def kind_name(neuron: NeuronProgram) -> str:
    """The neuron program as reports name it."""
    return type(neuron).__name__


def _cores(loads: Loads) -> tuple[CoreCost, ...]:
    synops = np.sum(list(loads.synops.values()), axis=0)
    return tuple(
        CoreCost(
            chip,
            core,
            loads.populations[i],
            int(loads.neurons[i]),
            float(synops[:, i].sum()),
            float(loads.fired[:, i].sum()),
            float(loads.received[:, i].sum()),
            float(loads.sent[:, i].sum()),
            float(synops[:, i].max()),
            float(loads.received[:, i].max()),
        )
        for i, (chip, core) in enumerate(loads.cores)
    )
