"""Weights and samples that everyone can make again: from the names and shapes of the parameters.

numpy's `RandomState` gives the same numbers in every version, so the golden file (`authors.json`)
holds a digest of what the authors' code made of them and not the weights.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.generic]]:
    """A state_dict in float32, of the keys and shapes of one: live, whatever the key is called.

    Batch norms (known by their `running_var`) scale by 1 to 3 and shift by -0.25 to 1.25, so that
    layers fire; their running statistics are 0 and 1, to be set by one pass in training.
    """
    norms = {k.removesuffix("running_var") for k in shapes if k.endswith("running_var")}
    count = "num_batches_tracked"
    return {
        key: np.array(_parameter(key, shape, norms), np.int64 if key.endswith(count) else "f4")
        for key, shape in shapes.items()
    }


def _parameter(key: str, shape: tuple[int, ...], norms: set[str]) -> Array:
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape)
    if key.endswith("running_mean"):
        return np.zeros(shape)
    if key.endswith("running_var"):
        return np.ones(shape)
    owner, _, field = key.rpartition(".")
    if f"{owner}." in norms:
        low, high = (1.0, 3.0) if field == "weight" else (-0.25, 1.25)
        return random.uniform(low, high, shape)
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
    return random.standard_normal(shape) / np.sqrt(fan_in)


def frames(seed: int, steps: int, samples: int, *frame: int, events: bool) -> Array:
    """x [steps, samples, *frame]: counts 0 to 3 of events, or an image shown at every step."""
    random = np.random.RandomState(seed)
    if events:
        return random.randint(0, 4, (steps, samples, *frame)).astype(np.float64)
    image = random.standard_normal((1, samples, *frame))
    return np.repeat(image, steps, axis=0)


def digest(sent: NDArray[np.generic]) -> list[int | str]:
    """How many spikes a layer sent and a hash of all it sent: bool or counts (uint8), any shape."""
    packed = np.packbits(sent) if sent.dtype == bool else sent
    return [int(sent.sum()), hashlib.sha256(packed.tobytes()).hexdigest()[:16]]
