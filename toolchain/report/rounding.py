"""What rounding cost each layer: wrong spikes, alone quantized and with all before it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..ir.record import LayerRecord
from .figure import INK, PALE, STYLE, label, save
from .silent import NOTES

ALONE, ALL = "#4c78a8", "#e4572e"


def compared(manifest: Mapping[str, Any]) -> list[LayerRecord]:
    """The layers whose spikes were held against the float model's."""
    rows = [LayerRecord.of(r) for r in manifest["quantization"]]
    return [r for r in rows if r.silent or r.wrong is not None]


def quantization(manifest: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """Left: wrong spikes of each layer, alone quantized and with every earlier layer too.

    Right: the error of its weights, with their bits. Layers without calibration data are left out,
    silent ones say so.
    """
    rows = compared(manifest)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 1.2 + 0.2 * max(len(rows), 2)))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2), sharey=True)
        at = np.arange(len(rows))
        cumulative, alone = (
            100 * np.array([w or 0 for w in each], float)
            for each in ([r.wrong for r in rows], [r.wrong_alone for r in rows])
        )
        for y, r in zip(at, rows, strict=True):
            if r.silent:
                left.text(0, y, f" {NOTES[r.silent]}", va="center", fontsize=7, color=INK)
        left.barh(at, cumulative, color=ALL, height=0.7, label="with all earlier layers quantized")
        left.barh(at, alone, color=ALONE, height=0.35, label="this layer alone quantized")
        left.set_yticks(at, [label(r.population) for r in rows])
        left.set(ylim=(len(rows) - 0.4, -0.6), xlabel="wrong spikes, % of the float model's")
        errors = 100 * np.array([r.weight_error for r in rows], float)
        right.barh(at, errors, color=PALE, height=0.7)
        for y, r, error in zip(at, rows, errors, strict=True):
            note = "exact" if r.exact else f"{r.weight_bits} bits"
            right.text(error, y, f" {note}", va="center", fontsize=7, color=INK)
        right.set_xlabel("error of the weights, % (rms)")
        right.set_xlim(0, 1.3 * max(float(errors.max(initial=0)), 0.1))
        for axes in (left, right):
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="x", color="#e3e5e8", lw=0.6)
            axes.set_axisbelow(True)
        left.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure
