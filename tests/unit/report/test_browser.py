"""The page in a real browser, if there is one, with every host name unresolvable; and its size.

That the page names nothing to fetch is `test_page_is_whole_and_offline`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfx.toolchain.report import render
from sfx.toolchain.report.page import MOST_CORES
from tests.unit.report.samples import SAMPLES, toy, values

BROWSER = next(
    (b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None
)
MOST_BYTES = 2_000_000


@pytest.mark.skipif(BROWSER is None, reason="needs chromium or chrome")
def test_a_browser_draws_the_page_without_a_network(tmp_path: Path) -> None:
    placed, spikes, _ = toy()
    page, picture = (tmp_path / name for name in ("page.html", "page.png"))
    page.write_text(render.html(values(), placed, spikes, SAMPLES), encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1200,3600",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert picture.is_file(), done.stderr[-500:]
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape == (3600, 1200, 3)
    ink = (pixels.min(axis=2) < 120).mean(axis=1)  # dark pixels of each line
    assert (ink[:2500].reshape(-1, 250).max(axis=1) > 0).all()  # no long blank stretch
    colours = {tuple(c) for c in pixels.reshape(-1, 3)[::7].tolist()}
    assert (0xE4, 0x57, 0x2E) in colours  # graded populations, in the bars and the raster


def test_a_page_of_many_cores_stays_small() -> None:
    placed, spikes, _ = toy()
    v = values()
    one = v["per_core"][0]
    many = [dict(one, chip=i // 120, core=i % 120, synops=float(i)) for i in range(20_000)]
    page = render.html(v | {"per_core": many}, placed, spikes, SAMPLES)
    assert len(page.encode()) < MOST_BYTES
    assert f"the {MOST_CORES} busiest cores" in page
    assert "19,600 further cores" in page
