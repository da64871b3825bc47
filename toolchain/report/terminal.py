"""The report in a terminal: what it is, whether it fits, what it costs, what limits its speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from .degraded import degraded_lines
from .graded import graded_lines
from .neurobench import VERSION, metric_rows
from .ranges import left_lines, range_lines
from .silent import silence_lines
from .units import count, share, si, si_range
from .witness import witness_lines

MOST_ROWS = 20
LABEL_WIDTH = 30


def summary(values: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The parts of the report, top to bottom."""
    yield Text(f"Report for {values['model']} on {values['target']['title']}", style="bold")
    yield Text(values["verdict"], style="green")
    for line in witness_lines(values["witness"]):
        yield Text(line)
    for line in silence_lines(values["silent"]):
        yield Text(line)
    for line in (*range_lines(values["ranges"]), *degraded_lines(values["quantization"])):
        yield Text(line)
    for line in graded_lines(values["graded"]):
        yield Text(line)
    for line in left_lines(values["left_range"] or {}):
        yield Text(line, style="bold red" if any(values["left_range"].values()) else "")
    if values["equivalence"] is not None:
        yield _equivalence(values["equivalence"])
    if values["accuracy"] is not None:
        yield _accuracy(values)
    yield _network(values)
    if values["energy"] is None:
        yield Text("Energy and latency need events: give real inputs with --input DATA.\n")
    else:
        yield _energy(values)
        yield _latency(values)
        yield _bounds(values)
    if values["neurobench"]:
        yield _neurobench(values["neurobench"])
    yield from _populations(values)
    for note in values["notes"]:
        yield Text(f"note: {note}", style="dim")


def _equivalence(verdict: Mapping[str, Any]) -> Text:
    word = "equal" if verdict["equal"] else "NOT EQUAL"
    return Text(
        f"{word} to {verdict['against']}: {count(verdict['compared'])} values compared, "
        f"{count(verdict['mismatches'])} differ",
        style="green" if verdict["equal"] else "bold red",
    )


def _accuracy(values: Mapping[str, Any]) -> Text:
    right, samples = round(values["accuracy"] * values["samples"]), values["samples"]
    return Text(
        f"accuracy {share(values['accuracy'], 2)} ({count(right)} of {count(samples)} samples)"
    )


def _group(title: str) -> Table:
    """Label left, value right, range beside it."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column(width=LABEL_WIDTH, no_wrap=True)
    table.add_column(justify="right", min_width=12, no_wrap=True)
    table.add_column(no_wrap=True)
    return table


def _network(values: Mapping[str, Any]) -> Table:
    table = _group("Network and mapping")
    rows = {
        "populations": count(values["populations"]),
        "neurons": count(values["neurons"]),
        "synapses": count(values["synapses"]),
        "time steps per sample": count(values["timesteps"]),
        "pipeline depth": f"{values['depth']} steps",
    }
    for label, text in rows.items():
        table.add_row(f"  {label}", text)
    full = values["utilization"]
    table.add_row("  cores used", count(values["cores"]), f"of {full['cores_available']:,}")
    table.add_row("  chips used", count(values["chips"]))
    for resource, mean in full["mean"].items():
        label = f"  {resource.replace('_', ' ')} in use"
        table.add_row(label, share(mean), f"mean; fullest core {share(full['largest'][resource])}")
    return table


def _energy(values: Mapping[str, Any]) -> Table:
    energy = values["energy"]
    table = _group(f"Energy per sample (estimate from {values['samples']} samples)")
    rows = {
        "dynamic_j": "dynamic",
        "synapses_j": "  synaptic operations",
        "neurons_j": "  neuron updates and spikes",
        "network_j": "  messages",
        "steps_j": "  floor per step",
        "static_j": "static power x time",
        "total_j": "total",
    }
    for key, label in rows.items():
        if energy[key]:
            ends = si_range(energy["uncertainty"][key], "J")
            style = "bold" if key == "total_j" else ""
            table.add_row(f"  {label}", si(energy[key], "J"), ends, style=style)
    table.add_row("  operation proxy", si(energy["op_proxy_j"], "J"), "45 nm convention, no device")
    table.add_row(
        "    of its dense twin", si(energy["op_proxy_ann_j"], "J"), "45 nm convention, no device"
    )
    return table


def _latency(values: Mapping[str, Any]) -> Table:
    latency = values["latency"]
    table = _group("Speed (estimate)")
    rows = {
        "step_s": ("time step", "s"),
        "latency_s": (f"latency ({values['timesteps']} + {values['depth']} steps)", "s"),
        "throughput_hz": ("throughput", "samples/s"),
    }
    for key, (label, unit) in rows.items():
        ends = si_range(latency["uncertainty"][key], unit)
        table.add_row(f"  {label}", si(latency[key], unit), ends)
    events = values["events"]
    table.add_row("  synaptic operations", count(events["synops"]), "per sample")
    table.add_row("  spikes", count(events["spikes"]), "per sample, input not counted")
    per_spike = events["messages"] / max(events["spikes"] + events["input_events"], 1)
    table.add_row("  messages", count(events["messages"]), f"{per_spike:.2f} per spike")
    return table


def _neurobench(found: Mapping[str, Any]) -> Table:
    table = _group(f"NeuroBench {VERSION} (per sample)")
    for label, figure, what in metric_rows(found):
        table.add_row(f"  {label}", figure, what)
    return table


def _bounds(values: Mapping[str, Any]) -> Table:
    table = Table(
        title="\nWhat sets the step time",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    table.add_column("  term", width=LABEL_WIDTH)
    table.add_column("mean per step", justify="right", min_width=13)
    table.add_column("binds in", justify="right")
    table.add_column("busiest core")
    for term in values["latency"]["bound_by"]:
        if not term["mean_s"]:
            continue
        where = ""
        if term["core"] is not None:
            chip, core = term["core"]
            where = f"chip {chip} core {core}: {', '.join(term['populations'])}"
        steps = f"{term['steps']} of {values['timesteps']}" if term["steps"] else "-"
        table.add_row(f"  {term['term']}", si(term["mean_s"], "s"), steps, where)
    return table


def _populations(values: Mapping[str, Any]) -> Iterator[RenderableType]:
    rows = values["per_population"]
    counted = values["energy"] is not None
    shown = rows
    if len(rows) > MOST_ROWS:
        key = "energy_j" if counted else "neurons"
        shown = sorted(rows, key=lambda r: -r[key])[:MOST_ROWS]
    table = Table(
        title="\nPopulations",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )
    table.add_column("  name", no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column("kind", no_wrap=True)
    names = (
        ["neurons", "cores", "rate", "synops", "energy", "share"]
        if counted
        else ["neurons", "cores", "phase"]
    )
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for r in shown:
        cores = str(r["cores"] or "host")
        cells = [f"  {r['name']}", r["kind"], count(r["neurons"]), cores]
        if counted:
            cells += [
                share(r["rate"]),
                count(r["synops"]),
                si(r["energy_j"], "J"),
                share(r["share"]),
            ]
        else:
            cells.append(str(r["phase"]))
        table.add_row(*cells)
    yield table
    if len(shown) < len(rows):
        yield Text(f"  and {len(rows) - len(shown)} more with less; --csv and --html have all")
    yield Text()
