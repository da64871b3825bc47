"""What every framework's witness shares: seeded nets and input, and where pairs are written.

A witness runs in the framework's own environment, which needs numpy and nir beside it and nothing
of sfx. It writes NAME.nir, NAME.npz (`spikes` [SAMPLES, STEPS, OUT]) and rows.json into a folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

SAMPLES, STEPS, IN, HIDDEN, OUT = 20, 30, 8, 10, 5


@dataclass(frozen=True)
class Row:
    """One neuron with one choice of its options.

    name        of the files
    neuron      the framework's class;  option: how it was made, as a user writes it
    convention  what `--nir-convention` takes;  reset: what `--reset` takes, "" for none
    """

    name: str
    neuron: str
    option: str
    convention: str
    reset: str = ""


Made = tuple[Any, np.ndarray]
"""What a framework exported, and its own spikes on `events()`."""


def events() -> np.ndarray:
    """Input x [SAMPLES, STEPS, IN] of 0 and 1."""
    return (np.random.default_rng(0).random((SAMPLES, STEPS, IN)) < 0.4).astype(np.uint8)


def weights(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """[HIDDEN, IN] and [OUT, HIDDEN], whole multiples of `scale`: thresholds are met exactly."""
    rng = np.random.default_rng(1)
    shapes = ((HIDDEN, IN), (OUT, HIDDEN))
    first, second = (rng.integers(-2, 4, s).astype(np.float32) * np.float32(scale) for s in shapes)
    return first, second


def record(versions: dict[str, str], rows: list[tuple[Row, Callable[[], Made]]]) -> None:
    """Export every row into the folder named on the command line; what fails says why."""
    folder = Path(sys.argv[1])
    done = []
    for row, make in rows:
        entry: dict[str, Any] = {**asdict(row), "versions": versions}
        try:
            graph, spikes = make()
            nir.write(folder / f"{row.name}.nir", graph)
        except Exception as error:  # what the framework or nir's writer raises is the finding
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            done.append({**entry, "failed": text[:160]})
            continue
        assert spikes.shape == (SAMPLES, STEPS, OUT), spikes.shape
        whole = np.array_equal(spikes, spikes.astype(np.uint8))  # else membranes, float32
        kept = spikes.astype(np.uint8 if whole else np.float32)
        np.savez_compressed(folder / f"{row.name}.npz", spikes=kept)
        done.append(entry)
    (folder / "rows.json").write_text(json.dumps(done, indent=1))
