"""Two reports side by side: what `sfx report A B` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .units import count, share, si

FIGURES = (
    # label, path into the values, unit ("" is a count, "%" a share)
    ("accuracy", ("accuracy",), "%"),
    ("neurons", ("neurons",), ""),
    ("synapses", ("synapses",), ""),
    ("cores", ("cores",), ""),
    ("chips", ("chips",), ""),
    ("time steps per sample", ("timesteps",), ""),
    ("synaptic operations", ("events", "synops"), ""),
    ("spikes", ("events", "spikes"), ""),
    ("messages", ("events", "messages"), ""),
    ("hops", ("events", "hops"), ""),
    ("dynamic energy", ("energy", "dynamic_j"), "J"),
    ("total energy", ("energy", "total_j"), "J"),
    ("45 nm proxy (no device)", ("energy", "op_proxy_j"), "J"),
    ("45 nm proxy, dense twin", ("energy", "op_proxy_ann_j"), "J"),
    ("time step", ("latency", "step_s"), "s"),
    ("latency", ("latency", "latency_s"), "s"),
    ("throughput", ("latency", "throughput_hz"), "/s"),
)


def comparison(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows {figure, unit, a, b, ratio}: what both reports have; ratio is b / a, None if a is 0."""
    rows = []
    for label, path, unit in FIGURES:
        x, y = _at(a, path), _at(b, path)
        if x is not None and y is not None:
            ratio = y / x if x else None
            rows.append({"figure": label, "unit": unit, "a": x, "b": y, "ratio": ratio})
    return rows


def compared(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> RenderableType:
    """The rows as a table, the verdict of each, and whether the ranges of both overlap."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for name in (*names, "second / first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in comparison(a, b):
        ratio = "-" if row["ratio"] is None else f"x {row['ratio']:.3g}"
        cells = [_shown(row[side], row["unit"]) for side in ("a", "b")]
        table.add_row(row["figure"], *cells, ratio)
    verdicts = [Text(f"{name}: {v['verdict']}") for name, v in zip(names, (a, b), strict=True)]
    note = Text()
    if a["energy"] is None or b["energy"] is None:
        note = Text("\nEnergy and latency need events: give real inputs with --input DATA.")
    elif a["target"] == b["target"]:
        note = Text(
            "\nBoth use the same constants, so the ratio is surer than either figure alone.",
            style="dim",
        )
    return Group(*verdicts, Text(), table, note)


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = values
    for key in path:
        found = None if found is None else found.get(key)
    return None if found is None else float(found)


def _shown(value: float, unit: str) -> str:
    if unit == "%":
        return share(value, 2)
    return si(value, unit) if unit else count(value)
