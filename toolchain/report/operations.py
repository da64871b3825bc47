"""The table of operations that papers print, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from .units import si

HEADS = ("layer", "firing rate", "ACs", "MACs", "energy", "dense MACs", "dense energy")
LATEX = str.maketrans({c: f"\\{c}" for c in "_%&#${}"} | {"\\": r"\textbackslash{}"})
RULE = (
    "45 nm: 0.9 pJ per accumulate (binary spikes), 4.6 pJ per multiply-accumulate (graded values, "
    "such as an input of counts, at every step). All T steps and slots are counted as they are "
    "run, once each; the dense twin runs once. Pools and residual sums count their accumulates."
)
"""What the figures count."""


def rows_of(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A row for each layer, and their sum."""
    rows: Sequence[Mapping[str, Any]] = values["operations"]
    numbers = ("accumulates", "multiplies", "dense_macs", "op_proxy_j", "op_proxy_ann_j")
    whole = {"name": "all", "module": "", "rate": None}
    return [*rows, whole | {k: sum(r[k] for r in rows) for k in numbers}]


def to_csv(values: Mapping[str, Any], cell: Any) -> str:
    """Joules and operations of a sample; `cell` makes texts safe for a spreadsheet."""
    rows = rows_of(values)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def to_latex(values: Mapping[str, Any]) -> str:
    """A tabular environment; needs no package."""
    lines = [f"% {values['model']}: {RULE}".replace("\n", " ")]
    lines += [r"\begin{tabular}{l" + "r" * (len(HEADS) - 1) + "}", r"\hline"]
    lines += [" & ".join(HEADS) + r" \\", r"\hline"]
    rows = rows_of(values)
    for row in rows:
        if row is rows[-1]:
            lines.append(r"\hline")
        rate = "" if row["rate"] is None else f"{row['rate']:.3f}"
        counts = [f"{row[k]:,.0f}" for k in ("accumulates", "multiplies")]
        joules = [si(row[k], "J").translate(LATEX) for k in ("op_proxy_j", "op_proxy_ann_j")]
        name = str(row["name"]).translate(LATEX)
        cells = (name, rate, *counts, joules[0], f"{row['dense_macs']:,.0f}", joules[1])
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])
