"""Energy per population as bars with their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .figure import KINDS, PALE, STYLE, label, save
from .units import PREFIXES, prefix_of


def energy_bars(
    rows: Sequence[Mapping[str, Any]], path: str | Path | None = None, *, most: int = 30
) -> Figure:
    """Energy per population with its range, the `most` largest in program order.

    rows   `per_population` of the report's values, with counts
    """
    ranked = sorted(rows, key=lambda r: -r["energy_j"])
    kept = {r["name"] for r in ranked[:most]}
    shown = [r for r in rows if r["name"] in kept]
    rest = [r for r in rows if r["name"] not in kept]
    labels = [label(r["name"]) for r in shown]
    values = [r["energy_j"] for r in shown]
    ends = [r["energy_range_j"] for r in shown]
    colours = [KINDS[r["kind"]] for r in shown]
    if rest:
        labels.append(f"{len(rest)} others")
        values.append(sum(r["energy_j"] for r in rest))
        ends.append([sum(r["energy_range_j"][i] for r in rest) for i in (0, 1)])
        colours.append(PALE)
    top = max((high for _, high in ends), default=0.0) or 1.0
    exponent = prefix_of(top)
    scale = 10.0**-exponent
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 0.9 + 0.2 * len(labels)))
        axes = figure.add_subplot()
        at = np.arange(len(labels))
        bars = np.array(values) * scale
        span = np.array(ends, dtype=float).reshape(-1, 2).T * scale
        axes.barh(at, bars, color=colours, height=0.7)
        axes.errorbar(
            bars, at, xerr=np.abs(span - bars), fmt="none", ecolor="#8a8f98", lw=0.8, capsize=2
        )
        axes.set_yticks(at, labels)
        axes.set(ylim=(len(labels) - 0.4, -0.6), xlim=(0, None))
        axes.set_xlabel(f"{PREFIXES[exponent]}J per sample, with its range")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e3e5e8", lw=0.6)
        axes.set_axisbelow(True)
        kinds = list(dict.fromkeys(r["kind"] for r in shown))
        axes.legend(
            handles=[Patch(color=KINDS[k], label=k) for k in kinds],
            frameon=False,
            fontsize=7,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(kinds),
            handlelength=0.9,
        )
        figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure
