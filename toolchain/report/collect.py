"""Everything a report shows, as plain values: the keys of `sfx report --json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compiler.cost.activity import EventCounts
from ..compiler.cost.model import CoreCost, Cost, PopulationCost, estimate, kind_name
from ..compiler.cost.operations import LayerOperations
from ..compiler.cost.synops import fan_out
from ..compiler.mapping.utilization import CoreUsage, utilization
from ..ir.facts import part_of
from ..ir.neurons import NEURONS
from ..ir.placed import PlacedProgram
from ..targets.links import Link
from ..targets.load import load
from ..targets.target import Target
from .degraded import degraded

METHOD = (
    "Dynamic energy: event counts times energies fitted to Loihi silicon; an estimate, not a "
    "measurement. Ranges take all constants at their low or high end together.",
    "Time: the largest of a few lower bounds per step, steady state, samples back to back.",
    "Total: dynamic energy plus static power of the chips in use times the time of a sample; "
    "host, board and idle chips are left out.",
    "Input is taken to arrive as fast as the chip accepts it. Boards fed over Ethernet were slower "
    "by far: PilotNet SDNN took 59 ms for a frame of 39,600 values.",
    "Operation proxy: 0.9 pJ per accumulate and 4.6 pJ per multiply-accumulate at 45 nm. A "
    "convention for comparing papers, not the energy of a device.",
)

SHOWN_ELSEWHERE = ("quantization", "silent", "ranges", "graded", "target_table")
"""Parts of a manifest that the report shows as tables of their own."""


def collect(
    placed: PlacedProgram,
    counts: EventCounts | None,
    accuracy: float | None,
    manifest: Mapping[str, Any],
    target: Target | None = None,
    verified: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Mapping and, with event counts, energy and latency.

    counts   events of a run; None: `energy` and `latency` are None, because energy without
             events would be a guess
    target   default: the listed target that `placed` names
    verified a verdict of `sfx verify --json` on this model, if there is one
    Units: joules, seconds, hertz. Raises InputError (SFX-E401) if that target is not listed.
    """
    target = target or load(placed.target)
    program = placed.program
    cores = utilization(placed, target)
    cost = None if counts is None else estimate(placed, target, counts)
    costs = {} if cost is None else {(c.chip, c.core): c for c in cost.per_core}
    values: dict[str, Any] = {
        "model": manifest.get("model", {}).get("name", program.name),
        "target": {"name": target.name, "title": target.title},
        "populations": len(program.populations),
        "neurons": sum(p.size for p in program),
        "synapses": sum(int(fan_out(program, j).sum()) for j in program.projections),
        "timesteps": program.timesteps,
        "depth": program.depth,
        "cores": placed.cores,
        "chips": placed.chips,
        "utilization": _fullness(cores, target),
        "samples": None if cost is None else cost.samples,
        "accuracy": accuracy,
        "energy": None,
        "latency": None,
        "events": None,
        "operations": None if cost is None else [_operations(r) for r in cost.layers],
        "neurobench": None,
        "per_population": _populations(placed, cost),
        "per_core": [_core(c, costs.get((c.chip, c.core))) for c in cores],
        "links": None if cost is None else [_link(link) for link in cost.links],
        "equivalence": None if verified is None else dict(verified),
        "witness": manifest.get("witness"),
        "quantization": list(manifest.get("quantization", ())),
        "silent": list(manifest.get("silent", ())),
        "ranges": list(manifest.get("ranges", ())),
        "graded": list(manifest.get("graded", ())),
        "degraded": degraded(manifest.get("quantization", ())),
        "left_range": None,
        "manifest": {k: v for k, v in manifest.items() if k not in SHOWN_ELSEWHERE},
        "notes": _notes(placed, target, cost),
    }
    if cost is not None:
        values |= cost.as_dict() | {"events": _events(cost)}
    return values | {"verdict": _verdict(values)}


def _fullness(cores: tuple[CoreUsage, ...], target: Target) -> dict[str, Any]:
    resources = cores[0].shares if cores else {}
    return {
        "cores_available": target.limits.cores,
        "mean": {r: sum(c.shares[r] for c in cores) / len(cores) for r in resources},
        "largest": {r: max(c.shares[r] for c in cores) for r in resources},
    }


def _events(cost: Cost) -> dict[str, float]:
    e = cost.events
    return {
        "synops": e.synops,
        "neuron_visits": e.accesses,
        "neuron_updates": e.updates,
        "spikes": e.fired,
        "input_events": sum(p.spikes for p in cost.populations if not p.cores),
        "messages": e.messages,
        "hops": e.hops_ew + e.hops_ns,
        "chip_crossings": cost.chip_crossings,
    }


def _operations(row: LayerOperations) -> dict[str, Any]:
    layer = {"name": row.name, "module": row.module, "rate": row.rate}
    done = row.done
    return layer | vars(done) | {"op_proxy_j": done.snn_j, "op_proxy_ann_j": done.ann_j}


def _populations(placed: PlacedProgram, cost: Cost | None) -> list[dict[str, Any]]:
    cores: dict[str, set[tuple[int, int]]] = {}
    for b in placed.blocks:
        cores.setdefault(b.population, set()).add((b.chip, b.core))
    costs = {} if cost is None else {p.name: p for p in cost.populations}
    everything = sum(p.energy.value for p in costs.values())
    whole = part_of(placed.program.facts or ())
    return [
        {
            "name": p.name,
            "module": p.module,
            "part_of": whole.get(p.name, ""),
            "kind": kind_name(p.neuron),
            "neurons": p.size,
            "phase": p.phase,
            "cores": len(cores.get(p.name, ())),
        }
        | _population_cost(costs.get(p.name), everything)
        for p in placed.program
    ]


def _population_cost(cost: PopulationCost | None, everything: float) -> dict[str, Any]:
    if cost is None:
        return dict.fromkeys(
            ("spikes", "rate", "synops", "messages", "energy_j", "energy_range_j", "share")
        )
    return {
        "spikes": cost.spikes,
        "rate": cost.rate,
        "synops": cost.events.synops,
        "messages": cost.events.messages,
        "energy_j": cost.energy.value,
        "energy_range_j": cost.energy.range,
        "share": cost.energy.value / everything if everything else 0.0,
    }


def _core(core: CoreUsage, cost: CoreCost | None) -> dict[str, Any]:
    row = {
        "chip": core.chip,
        "core": core.core,
        "populations": list(core.populations),
        "neurons": core.usage.neurons,
        "synapse_words": core.usage.synapse_words,
        "axons_in": core.usage.axons_in,
        "axons_out": core.usage.axons_out,
        "shares": core.shares,
        "binds": core.binds,
    }
    names = ("synops", "peak_synops", "fired", "received", "sent")
    return row | {name: None if cost is None else getattr(cost, name) for name in names}


def _link(link: Link) -> dict[str, Any]:
    return {"source": list(link.source), "target": list(link.target), "bits": link.bits}


def _notes(placed: PlacedProgram, target: Target, cost: Cost | None) -> list[str]:
    notes = [] if cost is None else list(METHOD)
    microcode = [p.name for p in placed.program if p.neuron.microcode]
    kinds = ", ".join(n.__name__ for n in NEURONS if n.microcode)
    if cost is not None and microcode:
        notes.append(
            f"{len(microcode)} populations run microcode ({kinds}): no energy of one is published, "
            "they are charged as LIF."
        )
    if cost is not None and cost.chip_crossings:
        notes.append(
            f"{cost.chip_crossings:,.0f} messages a sample cross from chip to chip: no energy of a "
            "crossing is published, it is charged as one hop."
        )
    unchecked = [
        name
        for name in ("axons_in_per_core", "axons_out_per_core")
        if not getattr(target.limits, name)
    ]
    if unchecked:
        notes.append(
            f"Not checked, because {target.name}'s limits are not public: {', '.join(unchecked)}."
        )
    return notes


def _verdict(values: dict[str, Any]) -> str:
    available = values["utilization"]["cores_available"]
    text = (
        f"fits {values['target']['name']}: {values['cores']} of {available} cores, "
        f"{values['chips']} chip{'s' if values['chips'] > 1 else ''}"
    )
    if values["latency"] is None:
        return text
    first = values["latency"]["bound_by"][0]
    where = ""
    if first["core"] is not None:
        chip, core = first["core"]
        where = f" on chip {chip} core {core} ({', '.join(first['populations'])})"
    return f"{text}; speed is set by {first['term']}{where}"
