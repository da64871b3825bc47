"""The report as one offline page: no script, nothing fetched, pictures inline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..ir.placed import PlacedProgram
from ..ir.record import LayerRecord
from ..targets.load import load
from ..targets.target import Target
from .compiled import notes
from .degraded import degraded_lines
from .graded import graded_lines
from .neurobench import VERSION, metric_rows
from .operations import RULE, rows_of
from .pictures import (
    MOST_ROWS,
    Spikes,
    chip_map,
    energy_bars,
    quantization,
    raster,
    svg,
)
from .ranges import left_lines, range_lines
from .rounding import compared
from .silent import silence_lines
from .units import count, share, si, si_range
from .witness import witness_lines

ENERGY_ROWS = (
    ("dynamic_j", "Dynamic", ""),
    ("synapses_j", "synaptic operations", "part"),
    ("neurons_j", "neuron updates and spikes", "part"),
    ("network_j", "messages", "part"),
    ("steps_j", "floor per step", "part"),
    ("static_j", "Static power x time", ""),
    ("total_j", "Total", "sum"),
)
MOST_CORES = 400
"""Rows of the table of cores: a page stays small however large the system is."""
LATENCY_ROWS = (
    ("step_s", "Time step", "s"),
    ("latency_s", "Latency", "s"),
    ("throughput_hz", "Throughput", "samples/s"),
)


def page(
    values: Mapping[str, Any],
    placed: PlacedProgram,
    spikes: Spikes | None = None,
    samples: int = 1,
    target: Target | None = None,
    left_out: str = "",
) -> str:
    """The page. `spikes`: hardware-step record of `samples` samples back to back, if there is one.

    target   default: the listed target that `placed` names; raises InputError if it is not listed
    left_out why there is no raster
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "share": share, "si": si, "si_range": si_range}
    counted = values["energy"] is not None
    records = [LayerRecord.of(r) for r in values["quantization"]]
    shown = _busiest(values["per_core"], counted=counted)
    return environment.get_template("page.html").render(
        v=values,
        manifest=json.dumps(values["manifest"], indent=1),
        witness=witness_lines(values["witness"]),
        records=[(r, ", ".join(filter(None, notes(r)))) for r in records],
        silent=[
            *silence_lines(values["silent"]),
            *range_lines(values["ranges"]),
            *degraded_lines(values["quantization"]),
            *graded_lines(values["graded"]),
        ],
        left=left_lines(values["left_range"] or {}),
        energy_rows=ENERGY_ROWS,
        operation_rows=rows_of(values) if counted else (),
        operation_rule=RULE,
        neurobench_rows=metric_rows(values["neurobench"]) if values["neurobench"] else (),
        neurobench_version=VERSION,
        latency_rows=LATENCY_ROWS,
        shown_cores=shown,
        more_cores=len(values["per_core"]) - len(shown),
        bars=Markup(svg(energy_bars(values["per_population"]))) if counted else None,
        chips=Markup(svg(_map(values, placed, target or load(placed.target)))),
        rounding=Markup(svg(quantization(values))) if compared(values) else None,
        left_out=left_out,
        most_rows=MOST_ROWS if any(p.size > MOST_ROWS for p in placed.program) else 0,
        raster=None
        if spikes is None
        else Markup(svg(raster(placed.program, spikes, samples=samples))),
    )


def _busiest(rows: list[dict[str, Any]], *, counted: bool) -> list[dict[str, Any]]:
    """All cores, or those with most synaptic operations (most neurons without counts)."""
    if len(rows) <= MOST_CORES:
        return rows
    return sorted(rows, key=lambda r: -r["synops" if counted else "neurons"])[:MOST_CORES]


def _map(values: Mapping[str, Any], placed: PlacedProgram, target: Target) -> Any:
    rows = values["per_core"]
    if values["energy"] is not None:
        load_of = {(r["chip"], r["core"]): r["synops"] for r in rows}
        label = "synaptic operations per sample"
        return chip_map(placed, target, load_of, label=label, links=values["links"])
    load_of = {(r["chip"], r["core"]): 100 * r["shares"][r["binds"]] for r in rows}
    return chip_map(placed, target, load_of, label="fullest resource of the core, %")
