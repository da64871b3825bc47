"""Real handwritten digits as an event camera on a moving head would record them.

    python examples/spikeformer/data.py OUT.npz --split test [--limit N]
    python examples/spikeformer/data.py --picture digits.png [--sample K] [--split test]

scikit-learn's digits (1797 real 8x8 images, values 0..16; UCI, Alpaydin and Kaynak 1998) are moved
in front of a 16x16 sensor along three saccades, as N-MNIST was recorded from MNIST (Orchard et al.
2015). A pixel sends an ON (OFF) event when its intensity has risen (fallen) by more than a
threshold since its last event. The recording is cut into T = 8 steps with at most one event per
pixel, polarity and step. All arithmetic is on whole numbers, so every machine gets the same events.

Split: per class, 36 samples spread evenly over the class are the test set (360); the other 1437 are
the training set.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

SENSOR = 16  # pixels per edge
STEPS = 8  # T
MOVES = 24  # positions of the digit after the first; MOVES / STEPS per time step
TEST_PER_CLASS = 36

# The digit, enlarged by 3/2 to 12x12 pixels, moves between these offsets (x, y) from the sensor's
# centre, in eighths of a pixel. Eight moves per saccade.
CORNERS = ((-8, -12), (0, 12), (8, -12), (-8, -12))

# Interpolation weights are twelfths in x and in y, so intensities are 0..16 * 144 = 2304. One event
# stands for a change of more than 1/6 of the full range.
THRESHOLD = 384

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Recording:
    """Events x, uint8 0/1 [K, T, 2, 16, 16] (channel 0 OFF, 1 ON), and labels y, int64 [K]."""

    x: Frames
    y: NDArray[np.int64]


def record(images: NDArray[Any]) -> Frames:
    """Events of digits [K, 8, 8] (whole numbers 0..16): uint8 0/1 [K, T, 2, 16, 16]."""
    scenes = [_scene(images.astype(np.int64), x, y) for x, y in _path()]
    events = np.zeros((len(images), STEPS, 2, SENSOR, SENSOR), np.uint8)
    level = scenes[0]  # each pixel's intensity at its last event
    for move, scene in enumerate(scenes[1:]):
        change = scene - level
        off, on = change < -THRESHOLD, change > THRESHOLD
        step = move * STEPS // MOVES
        events[:, step, 0] |= off
        events[:, step, 1] |= on
        level = np.where(off | on, scene, level)
    return events


def load(split: str) -> Recording:
    """The recorded `train` (1437) or `test` (360) digits, in the order of scikit-learn."""
    digits = load_digits()
    chosen = _is_test(digits.target)
    if split == "train":
        chosen = ~chosen
    return Recording(record(digits.images[chosen]), digits.target[chosen].astype(np.int64))


def _is_test(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """True for 36 samples of each class, evenly spaced over the class's own order."""
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        middles = (2 * np.arange(TEST_PER_CLASS) + 1) * len(members) // (2 * TEST_PER_CLASS)
        test[members[middles]] = True
    return test


def _path() -> list[tuple[int, int]]:
    """The MOVES + 1 offsets (x, y) of the digit, in eighths of a pixel."""
    per_saccade = MOVES // (len(CORNERS) - 1)
    path = [CORNERS[0]]
    for (x0, y0), (x1, y1) in pairwise(CORNERS):
        for i in range(1, per_saccade + 1):
            path.append((x0 + (x1 - x0) * i // per_saccade, y0 + (y1 - y0) * i // per_saccade))
    return path


def _scene(images: NDArray[np.int64], x: int, y: int) -> NDArray[np.int64]:
    """Intensities [K, 16, 16], 0..2304, with the digits at offset (x, y) in eighths of a pixel."""
    return np.einsum("Yi,kij,Xj->kYX", _interpolation(y), images, _interpolation(x))


def _interpolation(offset: int) -> NDArray[np.int64]:
    """Linear interpolation [16, 8] in twelfths, from an image's 8 pixels to the sensor's 16.

    Sensor pixel p looks at the image position u = (p - 7.5 - offset / 8) * 2 / 3 + 3.5, so
    12 u = 8 p - 18 - offset; image pixel j weighs max(0, 1 - |u - j|). Dark outside the image.
    """
    position = 8 * np.arange(SENSOR)[:, None] - 18 - offset
    return np.maximum(0, 12 - np.abs(position - 12 * np.arange(8)[None, :]))


def draw(events: Frames, image: NDArray[Any], title: str, file: Path) -> None:
    """Draws one sample's events [T, 2, 16, 16] step by step beside its source image [8, 8]."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * (STEPS / 2 + 1), 4.6), layout="constrained")
    grid = figure.add_gridspec(2, STEPS // 2 + 1)
    panels = [figure.add_subplot(grid[:, 0])]
    panels += [figure.add_subplot(grid[t // 4, 1 + t % 4]) for t in range(STEPS)]
    panels[0].imshow(image, cmap="gray")
    panels[0].set_title("digit, 8x8")
    # 0 none, 1 OFF, 2 ON, 3 both within one step
    colours = ListedColormap(["#f4f4f4", "#2166ac", "#d6301f", "#7b3294"])
    for t, panel in enumerate(panels[1:]):
        panel.imshow(events[t, 0] + 2 * events[t, 1], cmap=colours, vmin=0, vmax=3)
        panel.set_title(f"t = {t}: {int(events[t].sum())} events", fontsize=9)
    for panel in panels:
        panel.set_xticks([])
        panel.set_yticks([])
    figure.suptitle(f"{title}    ON red, OFF blue, both purple")
    figure.savefig(file, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the DATA file and the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description="Handwritten digits as an event camera sees them.")
    parser.add_argument("out", nargs="?", type=Path, help="DATA file to write, .npz with x and y")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--limit", type=int, help="only the first N samples")
    parser.add_argument("--picture", type=Path, help="draw one sample into this .png")
    parser.add_argument("--sample", type=int, default=0, help="which sample to draw")
    options = parser.parse_args(arguments)
    if options.out is None and options.picture is None:
        parser.error("give OUT.npz, --picture FILE.png or both")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit is {options.limit}, less than 1")
    recording = load(options.split)
    if not 0 <= options.sample < len(recording.y):
        parser.error(f"--sample is {options.sample}, of 0..{len(recording.y) - 1}")
    if options.out is not None:
        x, y = recording.x[: options.limit], recording.y[: options.limit]
        with options.out.open("wb") as file:
            np.savez_compressed(file, x=x, y=y)
        print(f"{options.out}: x {x.dtype} {list(x.shape)}, y {y.dtype} {list(y.shape)}")
    if options.picture is not None:
        digits = load_digits()
        chosen = _is_test(digits.target) == (options.split == "test")
        image = digits.images[chosen][options.sample]
        title = f"{options.split} sample {options.sample}: a {recording.y[options.sample]}"
        draw(recording.x[options.sample], image, title, options.picture)
        print(f"{options.picture}: {title}")


if __name__ == "__main__":
    main()
