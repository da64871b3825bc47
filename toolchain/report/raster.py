"""The spike raster: every population over hardware steps, so that the pipeline can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..ir.program import Population, Program
from .figure import BAND, IDLE, KINDS, PALE, STYLE, label, save
from .units import count, share

Spikes = Mapping[str, NDArray[Any]]
"""Population -> [H, *shape], by hardware step."""
MOST_ROWS = 96
"""Neurons shown of one population; more are thinned out evenly."""


def raster(
    program: Program,
    spikes: Spikes,
    path: str | Path | None = None,
    *,
    samples: int = 1,
    populations: Sequence[str] | None = None,
) -> Figure:
    """Every population's spikes by hardware step, one band each, samples marked.

    spikes   [H, *shape] per population, as the backends' `Stream.spikes`; `samples` back to back
    Right: neurons, and the mean rate of all. At most `MOST_ROWS` neurons are drawn, evenly chosen,
    and the picture says so where any are left out.
    A band is grey before its phase and after its last sample; thin lines are sample boundaries,
    which move right by one step per phase. Graded values are shaded by their size.
    """
    shown = [program[n] for n in populations or [p.name for p in program] if n in spikes]
    steps = len(next(iter(spikes.values())))
    squeeze = min(1.0, 20 / max(len(shown), 1))
    heights = [max(6.0, squeeze * float(np.clip(3 * np.sqrt(p.size), 6, 26))) for p in shown]
    gap, head = 1.5 + 2.5 * squeeze, 9.0
    total = head + sum(heights) + gap * len(shown)
    with rc_context(STYLE):
        figure = Figure(figsize=(min(4.5 + 0.12 * steps, 14), 1.1 + total * 0.022))
        axes = figure.add_subplot()
        for k in range(samples):
            middle = shown[0].phase + (k + 0.5) * program.timesteps
            axes.text(
                middle,
                head - 3.5,
                f"sample {k}",
                ha="center",
                va="bottom",
                fontsize=6,
                color="#5b6b7d",
            )
        top = head
        for p, height in zip(shown, heights, strict=True):
            values = np.asarray(spikes[p.name]).reshape(steps, -1)
            colour = KINDS[type(p.neuron).__name__]
            _band(axes, values, top, height, colour)
            _samples(axes, top, height, p.phase, samples, program.timesteps, steps)
            axes.text(-0.01 * steps, top + height / 2, label(p.name), ha="right", va="center")
            body = values[p.phase : p.phase + samples * program.timesteps]
            rate = np.count_nonzero(body) / max(body.size, 1)
            axes.text(
                1.01 * steps,
                top + height / 2,
                f"{count(p.size)} neurons, {share(rate)}",
                ha="left",
                va="center",
                fontsize=7,
                color="#666666",
            )
            top += height + gap
        axes.set(xlim=(0, steps), ylim=(total, 0), yticks=[])
        axes.set_xlabel("\n".join(["hardware step", *_thinned(shown)]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "left", "right"]].set_visible(False)
        kinds = list(dict.fromkeys(type(p.neuron).__name__ for p in shown))
        axes.legend(
            handles=[Patch(color=KINDS[k], label=k) for k in kinds],
            ncols=len(kinds),
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            handlelength=0.9,
            fontsize=7,
        )
        figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def _thinned(shown: Sequence[Population]) -> list[str]:
    """What is left out, as a line for the picture; nothing where every neuron is drawn."""
    if all(p.size <= MOST_ROWS for p in shown):
        return []
    more = f"of a population of more than {MOST_ROWS} neurons"
    return [f"{more}, {MOST_ROWS} are drawn, evenly chosen"]


def _band(axes: Axes, values: NDArray[Any], top: float, height: float, colour: str) -> None:
    """One population as an image [neurons shown, steps]; darker is larger."""
    rows = np.linspace(0, values.shape[1] - 1, min(values.shape[1], MOST_ROWS)).astype(int)
    size = np.abs(values[:, rows].T).astype(float)
    strength = np.where(size > 0, 0.35 + 0.65 * size / max(float(size.max()), 1.0), 0.0)
    image = np.empty((*size.shape, 4))
    image[..., :3] = to_rgb(colour)
    image[..., 3] = strength
    extent = (0, values.shape[0], top + height, top)
    axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest", zorder=2)


def _samples(
    axes: Axes, top: float, height: float, phase: int, samples: int, timesteps: int, steps: int
) -> None:
    """The ground of a band: its samples alternately shaded, their boundaries as lines."""
    axes.add_patch(Rectangle((0, top), steps, height, fill=False, ec=PALE, lw=0.4, zorder=3))
    for k in range(samples):
        left = phase + k * timesteps
        shade = "white" if k % 2 else BAND
        axes.add_patch(Rectangle((left, top), timesteps, height, color=shade, lw=0, zorder=1))
    for k in range(samples + 1):
        at = phase + k * timesteps
        axes.plot([at, at], [top - 1, top + height + 1], color="#5b6b7d", lw=0.8, zorder=4)
    for start, stop in ((0, phase), (phase + samples * timesteps, steps)):
        width = max(stop - start, 0)
        axes.add_patch(Rectangle((start, top), width, height, color=IDLE, lw=0, zorder=1))
