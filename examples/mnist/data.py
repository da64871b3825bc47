"""MNIST as 24x24 frames: the middle of the 28x28 images, whose border is dark.

The file is `mnist.npz` with x_train, y_train, x_test, y_test, as Keras distributes it. This
Spikeformer halves its image three times, so 24 is a size it takes; every step sees the same frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BORDER = 2  # pixels left out on every side
STEPS = 4  # T


def load(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Frames uint8 [K, 1, 1, 24, 24] (steps, channels) and labels [K] of `train` or `test`."""
    with np.load(path) as file:
        images, labels = file[f"x_{split}"], file[f"y_{split}"]
    middle = images[:, BORDER:-BORDER, BORDER:-BORDER]
    return np.ascontiguousarray(middle[:, None, None]), labels.astype(np.int64)
