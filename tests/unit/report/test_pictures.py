"""Pictures show the data they are given, and equal data give equal files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from sfx.toolchain.report import pictures
from tests.unit.report.samples import SAMPLES, STEPS, target, toy, values


@pytest.fixture(scope="module")
def data() -> tuple:
    placed, spikes, _ = toy()
    rows = values()
    load = {(c["chip"], c["core"]): c["synops"] for c in rows["per_core"]}
    return placed, spikes, rows["per_population"], load


def draw(name: str, data: tuple, path: Path | None = None) -> object:
    placed, spikes, rows, load = data
    if name == "raster":
        return pictures.raster(placed.program, spikes, path, samples=SAMPLES)
    if name == "chip_map":
        return pictures.chip_map(placed, target(), load, path, label="synops")
    return pictures.energy_bars(rows, path)


@pytest.mark.parametrize("suffix", ["svg", "png"])
@pytest.mark.parametrize("name", ["raster", "chip_map", "energy_bars"])
def test_equal_data_give_equal_files(name: str, suffix: str, data: tuple, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.{suffix}" for i in range(2)]
    for path in paths:
        draw(name, data, path)
    first, second = (p.read_bytes() for p in paths)
    assert first == second
    assert len(first) > 5000
    if suffix == "svg":
        assert b"dc:date" not in first


def test_raster_shows_every_spike_of_small_populations(data: tuple) -> None:
    placed, spikes, _, _ = data
    (axes,) = pictures.raster(placed.program, spikes, samples=SAMPLES).axes
    images = dict(zip([p.name for p in placed.program], axes.images, strict=True))
    for name in ("sum", "head"):
        shown = np.asarray(images[name].get_array())[..., 3] > 0
        np.testing.assert_array_equal(shown, spikes[name].T != 0)
        assert shown.any()
    assert np.asarray(images["stem"].get_array()).shape[0] == pictures.MOST_ROWS


def test_raster_marks_the_samples_of_each_population(data: tuple) -> None:
    placed, spikes, _, _ = data
    (axes,) = pictures.raster(placed.program, spikes, samples=SAMPLES).axes
    marks = [line.get_xdata()[0] for line in axes.lines]
    expected = [p.phase + k * STEPS for p in placed.program for k in range(SAMPLES + 1)]
    assert marks == expected


def test_raster_of_some_populations(data: tuple) -> None:
    placed, spikes, _, _ = data
    figure = pictures.raster(placed.program, spikes, samples=SAMPLES, populations=["q", "k"])
    assert len(figure.axes[0].images) == 2


def test_chip_map_colours_the_cores_in_use_by_load(data: tuple) -> None:
    placed, _, _, load = data
    figure = pictures.chip_map(placed, target(), load)
    chip = figure.axes[0]
    cores = [p for p in chip.patches if p.get_linewidth() == 0.5]
    assert len(cores) == 120
    used = [p for p in cores if p.get_edgecolor() == to_rgba("#555555")]
    assert len(used) == placed.cores == len(chip.texts)
    reds = [p.get_facecolor()[1] for p in used]  # less green is more load
    order = [load[b.chip, b.core] for b in placed.blocks]
    assert reds[int(np.argmax(order))] == min(reds)
    assert reds[int(np.argmin(order))] == max(reds)


def test_chip_map_of_several_chips(data: tuple) -> None:
    placed = data[0]
    spread = type(placed)(
        placed.program,
        placed.target,
        tuple(
            type(b)(b.population, b.tile, i % 6, b.core, b.usage)
            for i, b in enumerate(placed.blocks)
        ),
    )
    figure = pictures.chip_map(spread, target(), {}, chips=4)
    assert len(figure.axes) == 4 + 1  # and the colour bar
    assert "2 more chips in use" in [t.get_text() for t in figure.texts]


def test_energy_bars_sum_the_rest(data: tuple) -> None:
    rows = data[2]
    (axes,) = pictures.energy_bars(rows, most=4).axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels[-1] == "5 others"
    bars = [p.get_width() for p in axes.patches]
    total = sum(r["energy_j"] for r in rows)
    assert sum(bars) == pytest.approx(total * 1e9)
    assert "nJ" in axes.get_xlabel()


def test_svg_for_a_page_has_no_prolog(data: tuple) -> None:
    text = pictures.svg(draw("energy_bars", data))  # type: ignore[arg-type]
    assert text.startswith("<svg")
    assert "<metadata" not in text
    assert "stem" in text


def test_chip_map_draws_every_link_of_the_chip_darker_the_more(data: tuple) -> None:
    placed, _, _, load = data
    links = values()["links"]
    assert len({link["bits"] for link in links}) > 3
    plain = pictures.chip_map(placed, target(), load)
    figure = pictures.chip_map(placed, target(), load, links=links)
    bars = len(figure.axes[0].patches) - len(plain.axes[0].patches)
    assert bars == len(links)  # one chip
    drawn = figure.axes[0].patches[-bars:]
    shades = [sum(p.get_facecolor()[:3]) for p in drawn]
    order = np.argsort([link["bits"] for link in links])
    assert all(np.diff(np.array(shades)[order]) <= 1e-9)  # darker and darker
