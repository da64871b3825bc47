"""What `sfx compile` prints: the network's size, its cores, and what rounding cost each layer."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def compile_summary(manifest: dict[str, Any], seconds: float, path: str) -> RenderableType:
    """The summary of a bundle's manifest as something Rich prints."""
    s = manifest["statistics"]
    calibration = manifest["calibration"]
    source = (
        "the file: its integers, unchanged"
        if not manifest["quantization"]
        else "weights only (no calibration data)"
        if calibration is None
        else f"{calibration['samples']} samples from {calibration['source']}"
    )
    head = Text(
        f"{manifest['model']['name']} on {manifest['target']}\n"
        f"  populations  {s['populations']:>10,}     projections  {s['projections']:>12,}\n"
        f"  neurons      {s['neurons']:>10,}     synapses     {s['synapses']:>12,}\n"
        f"  time steps   {s['timesteps']:>10,}     depth        {s['depth']:>12,} hardware steps\n"
        f"  cores        {s['cores']:>10,}     chips        {s['chips']:>12,}\n"
        f"  scales from  {source}"
    )
    written = Text(f"\nwrote {path} in {seconds:.1f} s")
    if not manifest["quantization"]:
        return Group(head, written)
    title = "Quantization: 8-bit weights; equal spikes alone and with all earlier layers quantized"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("population", overflow="fold")
    for name in ("scale", "w err", "clip", "alone", "all", "rate", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for r in manifest["quantization"]:
        table.add_row(
            r["population"],
            f"{r['scale']:.3g}",
            f"{r['weight_error']:.2%}",
            str(r["clipped"]),
            _share(r["agreement"]),
            _share(r["cumulative"]),
            _share(r["rate"]),
            "exact" if r["exact"] else "",
        )
    return Group(head, Text(), table, written)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
