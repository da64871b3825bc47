"""The chip map: which population sits on which core, how busy each core and each link is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from ..ir.placed import PlacedProgram
from ..targets.target import Target
from .figure import INK, STYLE, save
from .units import si

LOAD, FLOW = "YlOrRd", "PuBu"
CORE = 0.3
"""Inches of a core on the map."""
ROUTER_GAP = 0.3
"""Cores between two routers."""
KEY_LINE = 0.155
"""Inches of a line of the key."""
LONGEST = 5
"""Characters that fit onto a core; one with more populations shows their number."""


def chip_map(
    placed: PlacedProgram,
    target: Target,
    load: Mapping[tuple[int, int], float],
    path: str | Path | None = None,
    *,
    label: str = "load",
    chips: int = 4,
    links: Sequence[Mapping[str, Any]] = (),
) -> Figure:
    """Every core of the first `chips` chips in use, coloured by load, numbered by population.

    A core with many populations shows their number ("6 p.").

    load   (chip, core) -> value; cores in use without one are white, unused ones have a pale
           frame. Routers are the grey squares; cores fill them in order.
    links  {source, target, bits} between routers (x, y) of the whole system: bars between the
           squares, the darker the more; each direction has its own half
    """
    used = sorted({b.chip for b in placed.blocks})
    drawn = used[:chips]
    names = list(dict.fromkeys(b.population for b in placed.blocks))
    most = max((v for (chip, _), v in load.items() if chip in drawn), default=0.0)
    colours = ScalarMappable(Normalize(0, most or 1.0), _loads())
    pitch_x, pitch_y = (n * (_side(target) + ROUTER_GAP) * CORE for n in target.limits.mesh)
    head, foot, key_width = 0.35, 0.95, 2.6
    wide = pitch_x + 0.3
    tall = len(drawn) * (pitch_y + head) + foot
    lines = int((tall - head) / KEY_LINE)
    width = wide + key_width * max(1, -(-len(names) // lines))
    with rc_context(STYLE):
        figure = Figure(figsize=(width, tall))
        numbers = {name: i + 1 for i, name in enumerate(names)}
        for row, chip in enumerate(drawn):
            bottom = tall - (row + 1) * (pitch_y + head)
            box = (0.15 / width, bottom / tall, pitch_x / width, pitch_y / tall)
            axes = figure.add_axes(box)
            _chip(axes, chip, target, placed, numbers, load, colours)
            _links(axes, chip, target, links)
        _key(
            figure,
            placed,
            names,
            wide / width,
            1 - head / tall,
            KEY_LINE / tall,
            key_width / width,
            lines,
        )
        bar_axes = figure.add_axes((0.15 / width, 0.62 / tall, pitch_x / width, 0.1 / tall))
        bar = figure.colorbar(colours, cax=bar_axes, orientation="horizontal")
        bar.set_label(label, fontsize=7, labelpad=1)
        bar_axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: si(x, "")))
        bar_axes.tick_params(labelsize=6, length=2, pad=1)
        said = []
        if links:
            heaviest = si(max(link["bits"] for link in links), "bit")
            said.append(f"heaviest link: {heaviest} per sample")
        if len(drawn) < len(used):
            said.append(f"{len(used) - len(drawn):,} more chips in use")
        figure.text(0.15 / width, 0.12 / tall, "; ".join(said), fontsize=7)
    if path is not None:
        save(figure, path)
    return figure


def _links(axes: Axes, chip: int, target: Target, links: Sequence[Mapping[str, Any]]) -> None:
    """The links that leave the routers of a chip, each in its half of the gap."""
    side, pitch = _side(target), _side(target) + ROUTER_GAP
    (columns, rows), grid = target.limits.mesh, target.limits.chip_grid[0]
    corner = (chip % grid * columns, chip // grid * rows)
    most = max((link["bits"] for link in links), default=0.0)
    shades = colormaps[FLOW]
    for link in links:
        x, y = (link["source"][i] - corner[i] for i in (0, 1))
        if not (0 <= x < columns and 0 <= y < rows):
            continue
        dx, dy = (link["target"][i] - link["source"][i] for i in (0, 1))
        start = max(dx, dy) > 0  # towards larger coordinates: the half above, or to the right
        colour = shades(0.15 + 0.85 * link["bits"] / most)
        along, across = ROUTER_GAP * 0.72, side * 0.4
        if dx:
            left = x * pitch + (side + 0.14 * ROUTER_GAP if dx > 0 else -0.86 * ROUTER_GAP)
            top = y * pitch + side * (0.06 if start else 0.54)
            axes.add_patch(Rectangle((left, top), along, across, color=colour, lw=0, zorder=3))
        else:
            top = y * pitch + (side + 0.14 * ROUTER_GAP if dy > 0 else -0.86 * ROUTER_GAP)
            left = x * pitch + side * (0.54 if start else 0.06)
            axes.add_patch(Rectangle((left, top), across, along, color=colour, lw=0, zorder=3))


def _side(target: Target) -> int:
    """Cores along one side of a router's square."""
    return int(np.ceil(np.sqrt(target.limits.cores_per_router)))


def _loads() -> ListedColormap:
    """White to red, without the palest and the darkest end."""
    return ListedColormap(colormaps[LOAD](np.linspace(0.05, 0.85, 256)))


def _chip(
    axes: Axes,
    chip: int,
    target: Target,
    placed: PlacedProgram,
    numbers: Mapping[str, int],
    load: Mapping[tuple[int, int], float],
    colours: ScalarMappable,
) -> None:
    side, pitch = _side(target), _side(target) + ROUTER_GAP
    columns, rows = target.limits.mesh
    for router in range(columns * rows):
        corner = (router % columns * pitch, router // columns * pitch)
        axes.add_patch(
            Rectangle(
                (corner[0] - 0.08, corner[1] - 0.08),
                side + 0.16,
                side + 0.16,
                color="#e6e8eb",
                lw=0,
            )
        )
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
            colour = "white" if value is None else colours.cmap(colours.norm(value))
        axes.add_patch(
            Rectangle(
                (x + 0.04, y + 0.04),
                0.92,
                0.92,
                fc=colour,
                lw=0.5,
                ec="#555555" if members else "#dcdcdc",
            )
        )
        if members:
            text = ",".join(str(numbers[m]) for m in members)
            if len(text) > LONGEST:
                text = f"{len(members)} p."
            dark = np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.5
            axes.text(
                x + 0.5,
                y + 0.52,
                text,
                ha="center",
                va="center",
                color="white" if dark else INK,
                fontsize=7 if len(text) < 3 else 5.5,
            )
    axes.set(xlim=(-ROUTER_GAP, columns * pitch), ylim=(rows * pitch, -ROUTER_GAP))
    axes.set_axis_off()
    used = len(held)
    axes.set_title(
        f"chip {chip}: {used} of {target.limits.cores_per_chip} cores",
        loc="left",
        fontsize=8,
        pad=4,
    )


def _key(
    figure: Figure,
    placed: PlacedProgram,
    names: Sequence[str],
    left: float,
    top: float,
    line: float,
    column: float,
    lines: int,
) -> None:
    cores = {n: len({(b.chip, b.core) for b in placed.blocks if b.population == n}) for n in names}
    for i, name in enumerate(names):
        at, row = divmod(i, lines)
        x, y = left + at * column, top - row * line
        short = name if len(name) <= 30 else f"...{name[-28:]}"
        figure.text(
            x + 0.09 * column, y, str(i + 1), ha="right", va="top", fontsize=7, weight="bold"
        )
        figure.text(x + 0.12 * column, y, short, va="top", fontsize=7)
        figure.text(
            x + 0.96 * column,
            y,
            f"x {cores[name]}" if cores[name] > 1 else "",
            va="top",
            ha="right",
            fontsize=7,
            color="#666666",
        )
