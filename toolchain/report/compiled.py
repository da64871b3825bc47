"""What `sfx compile` prints: the network's size, its cores, and what rounding cost each layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..ir.record import LayerRecord
from .degraded import degraded_lines
from .graded import graded_lines
from .ranges import range_lines
from .silent import NOTES, silence_lines
from .units import share
from .witness import witness_lines


def compile_summary(
    manifest: dict[str, Any], seconds: float, path: str, mapped: Sequence[tuple[str, str]] = ()
) -> RenderableType:
    """The summary of a bundle's manifest as something Rich prints. mapped: lines with labels."""
    s = manifest["statistics"]
    calibration = manifest["calibration"]
    source = (
        "the file: its integers, unchanged"
        if not manifest["quantization"]
        else "weights only (no calibration data)"
        if calibration is None
        else f"{calibration['samples']} samples from {calibration['source']}"
    )
    trusted = (
        "\n  trusted      the pickle, whose code was run" if manifest.get("trusted_pickle") else ""
    )
    wrapped = f"\n  weights from {manifest['weights']}" if manifest.get("weights") else ""
    taken = manifest.get("net_input")
    holds = {"raw": "applied to DATA", "transformed": "DATA holds that number already"}
    first = (
        f"\n  input        {taken['weight']} x + {taken['bias']}, {holds[taken['data']]}"
        if taken
        else ""
    )
    head = Text(
        f"{manifest['model']['name']} on {manifest['target']}\n"
        f"  populations  {s['populations']:>10,}     projections  {s['projections']:>12,}\n"
        f"  neurons      {s['neurons']:>10,}     synapses     {s['synapses']:>12,}\n"
        f"  time steps   {s['timesteps']:>10,}     depth        {s['depth']:>12,} hardware steps\n"
        f"  cores        {s['cores']:>10,}     chips        {s['chips']:>12,}\n"
        + "".join(f"  {label:<11}  {line}\n" for label, line in mapped)
        + f"  scales from  {source}"
        f"{wrapped}{trusted}{first}"
        + "".join(f"\n  {head:<11}  {line}" for head, line in _witness(manifest))
    )
    written = Text(f"\nwrote {path} in {seconds:.1f} s")
    if not manifest["quantization"]:
        return Group(head, written)
    silent = [Text(line) for line in silence_lines(manifest.get("silent", ()))]
    said = [
        *(Text(line) for line in range_lines(manifest.get("ranges", ()))),
        *(Text(line, style="bold") for line in graded_lines(manifest.get("graded", ()))),
        *(Text(line, style="bold") for line in degraded_lines(manifest["quantization"])),
    ]
    table = quantization_table(manifest["quantization"])
    return Group(head, Text(), table, *silent, *said, written)


def _witness(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines of the first witness, the first with its label."""
    for i, line in enumerate(witness_lines(manifest.get("witness"))):
        yield "" if i else "witness", line


def quantization_table(records: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One row per population that was rounded; 80 columns."""
    bits = sorted({r["weight_bits"] for r in records})
    memory = sum(r["memory_bits"] for r in records) / 8192
    span = f"{bits[0]}" if len(bits) == 1 else f"{bits[0]} to {bits[-1]}"
    title = (
        f"Quantization: {span}-bit weights, {memory:,.1f} KiB; wrong spikes (missed, extra)\n"
        "in % of the float model's: this layer alone quantized, all earlier ones too"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("population", overflow="fold")
    mixed = ["bits"] if len(bits) > 1 else []
    for name in (*mixed, "scale", "w err", "clip", "dead", "alone", "all"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", justify="right")
    for r in records:
        record = LayerRecord.of(r)
        table.add_row(
            r["population"],
            *(str(r["weight_bits"]) for _ in mixed),
            f"{r['scale']:.3g}",
            share(r["weight_error"], 2),
            str(r["clipped"]),
            str(r["dead"]),
            share(record.wrong_alone, 2),
            share(record.wrong, 2),
            ", ".join(filter(None, notes(record))),
        )
    return Group(Text(title, style="italic"), table)


def notes(record: LayerRecord) -> tuple[str, str, str]:
    """Exact, silent, and registers that left their width on the data (not on legal Programs)."""
    events = (record.saturations or 0) + (record.wraps or 0)
    overflow = f"{events} overflow" if events else ""
    return "exact" if record.exact else "", NOTES[record.silent], overflow
