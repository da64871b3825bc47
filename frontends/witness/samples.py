"""Samples to run the model on where none are given: drawn, so that every neuron fires."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tracing.calls import Exported
from .record import Recording, record

SEED = 13
RATES = (0.3, 0.1, 0.6, 1.0)
"""Events per place and step that are tried, 0 or 1 each."""
COUNTS = (2, 8, 64, 255)
"""Largest event counts that are tried where ones wake not everything."""

Array = NDArray[Any]


def drawn(
    exported: Exported, shape: tuple[int, ...], count: int, example: Array | None
) -> list[Recording]:
    """`count` recordings of samples of `shape` [T, *input shape]; the first has fewest silent.

    example  tried first
    """
    best: Recording | None = None
    for x in _candidates(shape, example, exported.input_layout == "B"):
        found = record(exported, x)
        if best is None or len(found.fired) > len(best.fired):
            best = found
        if len(best.fired) == len(best.neurons):
            break
    assert best is not None
    more = (record(exported, _like(best.x, i)) for i in range(1, count))
    return [best, *more]


def _candidates(shape: tuple[int, ...], example: Array | None, image: bool) -> Iterator[Array]:
    if example is not None and example.any():
        yield np.broadcast_to(example[:1], shape) if image else example
    rng = np.random.default_rng(SEED)
    where = (1, *shape[1:]) if image else shape
    for rate in RATES:
        yield np.broadcast_to((rng.random(where) < rate).astype(np.float64), shape)
    for high in COUNTS:
        yield np.broadcast_to(rng.integers(0, high + 1, where).astype(np.float64), shape)


def _like(x: Array, seed: int) -> Array:
    """Another sample with the same values in other places (images: the same at every step)."""
    order = np.random.default_rng(SEED + seed).permutation(x[0].size)
    return x.reshape(len(x), -1)[:, order].reshape(x.shape)
