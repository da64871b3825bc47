"""Pictures: spike raster, chip map, energy bars. Equal data give equal files, byte for byte."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.report.units import PREFIXES, count, prefix_of
from sfx.toolchain.targets.target import Target

Spikes = Mapping[str, NDArray[Any]]
"""Population -> [H, *shape], by hardware step."""

INK, PALE, BAND = "#222222", "#c8c8c8", "#f1f3f6"
KINDS = {
    "Input": "#4c78a8",
    "Clock": "#9aa5b1",
    "LIF": "#222222",
    "Graded": "#e4572e",
    "GradedReLU": "#b07aa1",
    "Product": "#2a9d8f",
}
"""Colour of each neuron program."""
LOAD = "YlOrRd"
_STYLE = {
    "svg.hashsalt": "sfx",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
MOST_ROWS = 96
"""Neurons shown of one population; more are thinned out evenly."""


def save(figure: Figure, path: str | Path | io.BytesIO, kind: str | None = None) -> None:
    """Write as .svg or .png (by suffix, or `kind`), without dates or software versions."""
    kind = kind or Path(str(path)).suffix.lstrip(".") or "svg"
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if kind == "svg" else {
        "Software": None}
    with rc_context(_STYLE):
        figure.savefig(path, format=kind, metadata=metadata, dpi=150)


def svg(figure: Figure) -> str:
    """The picture as an <svg> element for a page: no prolog, no names that could clash."""
    buffer = io.BytesIO()
    save(figure, buffer, "svg")
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r' id="[A-Za-z0-9]+_\d+"', "", text)


# --- spike raster ---------------------------------------------------------------------------


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
    Right: neurons, and their mean rate. At most `MOST_ROWS` neurons are drawn, evenly chosen.
    A band is grey before its phase and after its last sample; thin lines are sample boundaries,
    which move right by one step per phase. Graded values are shaded by their size.
    """
    shown = [program[n] for n in populations or [p.name for p in program] if n in spikes]
    steps = len(next(iter(spikes.values())))
    heights = [float(np.clip(3 * np.sqrt(p.size), 6, 26)) for p in shown]
    gap, head = 4.0, 9.0
    total = head + sum(heights) + gap * len(shown)
    with rc_context(_STYLE):
        figure = Figure(figsize=(min(4.5 + 0.12 * steps, 14), 1.1 + total * 0.022))
        axes = figure.add_subplot()
        for k in range(samples):
            middle = shown[0].phase + (k + 0.5) * program.timesteps
            axes.text(middle, head - 3.5, f"sample {k}", ha="center", va="bottom", fontsize=6,
                      color="#5b6b7d")
        top = head
        for p, height in zip(shown, heights, strict=True):
            values = np.asarray(spikes[p.name]).reshape(steps, -1)
            colour = KINDS[type(p.neuron).__name__]
            _band(axes, values, top, height, colour)
            _samples(axes, top, height, p.phase, samples, program.timesteps, steps)
            axes.text(-0.01 * steps, top + height / 2, p.name, ha="right", va="center")
            body = values[p.phase : p.phase + samples * program.timesteps]
            rate = np.count_nonzero(body) / max(body.size, 1)
            axes.text(
                1.01 * steps, top + height / 2, f"{count(p.size)} neurons, {rate:.1%}",
                ha="left", va="center", fontsize=7, color="#666666",
            )
            top += height + gap
        axes.set(xlim=(0, steps), ylim=(total, 0), yticks=[], xlabel="hardware step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "left", "right"]].set_visible(False)
        kinds = list(dict.fromkeys(type(p.neuron).__name__ for p in shown))
        axes.legend(
            handles=[Patch(color=KINDS[k], label=k) for k in kinds], ncols=len(kinds),
            loc="lower left", bbox_to_anchor=(0, 1), frameon=False, handlelength=0.9, fontsize=7,
        )
        figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


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
        axes.plot([at, at], [top - 2, top + height + 2], color="#5b6b7d", lw=0.8, zorder=4)
    for start, stop in ((0, phase), (phase + samples * timesteps, steps)):
        idle = Rectangle((start, top), max(stop - start, 0), height, color="#d8d8d8", lw=0, zorder=1)
        axes.add_patch(idle)


# --- chip map ---------------------------------------------------------------------------------

CORE = 0.3
"""Inches of a core on the map."""
ROUTER_GAP = 0.3
"""Cores between two routers."""
KEY_LINE = 0.155
"""Inches of a line of the key."""


def chip_map(
    placed: PlacedProgram,
    target: Target,
    load: Mapping[tuple[int, int], float],
    path: str | Path | None = None,
    *,
    label: str = "load",
    chips: int = 4,
) -> Figure:
    """Every core of the first `chips` chips in use, coloured by load, numbered by population.

    load   (chip, core) -> value; cores in use without one are white, unused ones have a pale
           frame. Routers are the grey squares; cores fill them in order.
    """
    used = sorted({b.chip for b in placed.blocks})
    drawn = used[:chips]
    names = list(dict.fromkeys(b.population for b in placed.blocks))
    most = max((v for (chip, _), v in load.items() if chip in drawn), default=0.0)
    colours = ScalarMappable(Normalize(0, most or 1.0), _loads())
    pitch_x, pitch_y = (n * (_side(target) + ROUTER_GAP) * CORE for n in target.limits.mesh)
    head, foot, key_width = 0.35, 0.75, 2.6
    wide = pitch_x + 0.3
    tall = len(drawn) * (pitch_y + head) + foot
    lines = int((tall - head) / KEY_LINE)
    width = wide + key_width * max(1, -(-len(names) // lines))
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, tall))
        for row, chip in enumerate(drawn):
            bottom = tall - (row + 1) * (pitch_y + head)
            box = (0.15 / width, bottom / tall, pitch_x / width, pitch_y / tall)
            axes = figure.add_axes(box)
            _chip(axes, chip, target, placed, {n: i + 1 for i, n in enumerate(names)}, load, colours)
        _key(figure, placed, names, wide / width, 1 - head / tall, KEY_LINE / tall,
             key_width / width, lines)
        bar_axes = figure.add_axes((0.15 / width, 0.42 / tall, pitch_x / width, 0.1 / tall))
        bar = figure.colorbar(colours, cax=bar_axes, orientation="horizontal")
        bar.set_label(label, fontsize=7, labelpad=1)
        bar_axes.tick_params(labelsize=6, length=2, pad=1)
        if len(drawn) < len(used):
            figure.text(wide / width, 0.1 / tall, f"{len(used) - len(drawn)} more chips in use",
                        fontsize=7)
    if path is not None:
        save(figure, path)
    return figure


def _side(target: Target) -> int:
    """Cores along one side of a router's square."""
    return int(np.ceil(np.sqrt(target.limits.cores_per_router)))


def _loads() -> ListedColormap:
    """White to red, without the palest and the darkest end."""
    return ListedColormap(colormaps[LOAD](np.linspace(0.05, 0.85, 256)))


def _chip(
    axes: Axes, chip: int, target: Target, placed: PlacedProgram, numbers: Mapping[str, int],
    load: Mapping[tuple[int, int], float], colours: ScalarMappable,
) -> None:
    side, pitch = _side(target), _side(target) + ROUTER_GAP
    columns, rows = target.limits.mesh
    for router in range(columns * rows):
        corner = (router % columns * pitch, router // columns * pitch)
        axes.add_patch(Rectangle((corner[0] - 0.08, corner[1] - 0.08), side + 0.16, side + 0.16,
                                 color="#e6e8eb", lw=0))
    held: dict[int, list[str]] = {}
    for b in placed.blocks:
        if b.chip == chip:
            held.setdefault(b.core, []).append(b.population)
    for core in range(target.limits.cores_per_chip):
        router, slot = divmod(core, target.limits.cores_per_router)
        x = router % columns * pitch + slot % side
        y = router // columns * pitch + slot // side
        members = list(dict.fromkeys(held.get(core, ())))
        colour: Any = "#f7f7f8"
        if members:
            value = load.get((chip, core))
            colour = "white" if value is None else colours.to_rgba(value)
        axes.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fc=colour, lw=0.5,
                                 ec="#555555" if members else "#dcdcdc"))
        if members:
            text = ",".join(str(numbers[m]) for m in members)
            dark = np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.5
            axes.text(x + 0.5, y + 0.52, text, ha="center", va="center",
                      color="white" if dark else INK, fontsize=7 if len(text) < 3 else 5.5)
    axes.set(xlim=(-0.15, columns * pitch), ylim=(rows * pitch, -0.15))
    axes.set_axis_off()
    used = len(held)
    axes.set_title(f"chip {chip}: {used} of {target.limits.cores_per_chip} cores", loc="left",
                   fontsize=8, pad=4)


def _key(
    figure: Figure, placed: PlacedProgram, names: Sequence[str], left: float, top: float,
    line: float, column: float, lines: int,
) -> None:
    cores = {n: len({(b.chip, b.core) for b in placed.blocks if b.population == n}) for n in names}
    for i, name in enumerate(names):
        at, row = divmod(i, lines)
        x, y = left + at * column, top - row * line
        short = name if len(name) <= 30 else f"...{name[-28:]}"
        figure.text(x + 0.09 * column, y, str(i + 1), ha="right", va="top", fontsize=7,
                    weight="bold")
        figure.text(x + 0.12 * column, y, short, va="top", fontsize=7)
        figure.text(x + 0.96 * column, y, f"x {cores[name]}" if cores[name] > 1 else "", va="top",
                    ha="right", fontsize=7, color="#666666")


# --- energy -----------------------------------------------------------------------------------


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
    labels = [r["name"] for r in shown]
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
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.4, 0.75 + 0.2 * len(labels)))
        axes = figure.add_subplot()
        at = np.arange(len(labels))
        bars = np.array(values) * scale
        span = np.array(ends, dtype=float).reshape(-1, 2).T * scale
        axes.barh(at, bars, color=colours, height=0.7)
        axes.errorbar(bars, at, xerr=np.abs(span - bars), fmt="none", ecolor="#8a8f98", lw=0.8,
                      capsize=2)
        axes.set_yticks(at, labels)
        axes.set(ylim=(len(labels) - 0.4, -0.6), xlim=(0, None))
        axes.set_xlabel(f"{PREFIXES[exponent]}J per sample, with its range")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e3e5e8", lw=0.6)
        axes.set_axisbelow(True)
        kinds = list(dict.fromkeys(r["kind"] for r in shown))
        axes.legend(
            handles=[Patch(color=KINDS[k], label=k) for k in kinds], frameon=False, fontsize=7,
            loc="lower right", handlelength=0.9,
        )
        figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure
