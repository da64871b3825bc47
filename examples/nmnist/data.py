"""N-MNIST recordings as event counts: 4 steps of 2 x 32 x 32.

    python examples/nmnist/data.py nmnist_small.npz nmnist.npz [--split test]

The file holds 1,100 recordings (Orchard et al. 2015; the NMNISTsmall of slayerPytorch): `events`
[N, 4] = x, y, polarity, microseconds; `offsets` [1101]; `labels`. The first 1,000 are training
samples, the last 100 test samples. Each recording's own time is cut into T equal steps. The sensor
has 34x34 pixels; its outermost ones, with 0.4 % of the events, are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfx.frontends.events.events import Events, bin_events

SENSOR = 34
STEPS = 4  # T
TRAIN = 1000


def load(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Counts uint8 [K, T, 2, 32, 32] (channel 0 OFF, 1 ON) and labels [K] of `train` or `test`."""
    with np.load(path) as file:
        events, offsets = file["events"].astype(np.int64), file["offsets"]
        labels = file["labels"].astype(np.int64)
    which = range(TRAIN) if split == "train" else range(TRAIN, len(labels))
    frames = [_frames(events[offsets[i] : offsets[i + 1]]) for i in which]
    return np.stack(frames), labels[which.start : which.stop]


def _frames(events: NDArray[np.int64]) -> NDArray[np.uint8]:
    x, y, polarity, time = events.T
    counts = bin_events(Events(x, y, polarity, time), STEPS, (SENSOR, SENSOR))
    return counts[..., 1:-1, 1:-1]


def main() -> None:
    """Writes one split as DATA: x uint8 [K, T, 2, 32, 32] and y."""
    parser = argparse.ArgumentParser(description="N-MNIST recordings as DATA for sfx.")
    parser.add_argument("recordings", type=Path, help="nmnist_small.npz")
    parser.add_argument("out", type=Path, help="DATA file to write, .npz with x and y")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    options = parser.parse_args()
    x, y = load(options.recordings, options.split)
    with options.out.open("wb") as file:
        np.savez_compressed(file, x=x, y=y)
    print(f"{options.out}: x {x.dtype} {list(x.shape)}, y {y.dtype} {list(y.shape)}")


if __name__ == "__main__":
    main()
