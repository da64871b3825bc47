"""What a DATA file holds: a table for the terminal and a picture of one sample, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..data import Data
from ..ground.errors import InputError
from .figure import STYLE, save
from .units import share

COLUMNS = 8
"""Steps in one row of the picture."""
_SHOWN = 64  # samples that the counts per step are taken over: spread evenly


def summary(data: Data, classes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Shape, values and classes of the samples, as plain data."""
    chosen = np.unique(np.arange(_SHOWN) * data.samples // _SHOWN)
    some = data.x[chosen].astype(np.int64)
    over_time = tuple(i for i in range(some.ndim) if i != 1)
    labels: dict[str, int] = {}
    if data.y is not None:
        for label, count in zip(*np.unique(data.y, return_counts=True), strict=True):
            named = classes[label] if 0 <= label < len(classes) else str(label)
            labels[named] = labels.get(named, 0) + int(count)
    return {
        "samples": data.samples,
        "shape": list(data.x.shape[1:]),
        "type": str(data.x.dtype),
        "largest": int(max(x.max(initial=0) for x in data.x)),
        "active": float((some != 0).mean()),
        "per_step": [float(v) / len(chosen) for v in some.sum(axis=over_time)],
        "looked_at": len(chosen),
        "labels": labels,
    }


def text(values: dict[str, Any]) -> str:
    """The table that `sfx data show` prints."""
    steps = " ".join(f"{v:,.0f}" for v in values["per_step"])
    sizes = " x ".join(map(str, values["shape"]))
    lines = [
        f"samples   {values['samples']:,}",
        f"shape     {sizes} (steps first), {values['type']}",
        f"values    0 to {values['largest']}, {share(values['active'])} not 0",
        f"per step  {steps}  (sum of a sample, mean of {values['looked_at']})",
    ]
    if values["labels"]:
        counts = list(values["labels"].values())
        many = f"{len(counts)} classes, {min(counts):,} to {max(counts):,} samples each"
        names = ", ".join(list(values["labels"])[:11])
        lines.append(f"labels    {many}: {names}{', ...' if len(counts) > 11 else ''}")
    return "\n".join(lines)


def picture(x: NDArray[Any], title: str, path: Path) -> None:
    """Draws one sample into a .png or .svg: [T, C, H, W] one panel per step, [T, units] one in all.

    C = 2: OFF blue, ON red, darker for more events; C = 1: gray; C = 3: red, green, blue.
    Raises `InputError` SFX-E615 for another shape, SFX-E603 if it cannot be written.
    """
    if x.ndim == 2:
        _raster(x, title, path)
        return
    if x.ndim != 4 or x.shape[1] not in (1, 2, 3):
        shape = list(x.shape)
        hint = "a picture needs [T, C, H, W] with 1, 2 or 3 channels, or [T, units]"
        raise InputError("SFX-E615", f"a sample has shape {shape}", hint=hint)
    columns = min(COLUMNS, len(x))
    rows = -(-len(x) // columns)
    with rc_context(STYLE):
        high = 1.35 * rows * x.shape[2] / x.shape[3] + 0.2 * rows + 0.5
        figure = Figure(figsize=(max(1.35 * columns, 5.0), high), layout="constrained")
        for t, frame in enumerate(_colours(x)):
            panel = figure.add_subplot(rows, columns, t + 1)
            panel.imshow(frame, interpolation="nearest")
            panel.set_title(f"t = {t}: {int(x[t].sum()):,}", fontsize=7)
            panel.set_xticks([])
            panel.set_yticks([])
        figure.suptitle(f"{title}    ON red, OFF blue" if x.shape[1] == 2 else title)
    save(figure, path)


def _raster(x: NDArray[Any], title: str, path: Path) -> None:
    """Units over steps, darker for more events."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        panel = figure.add_subplot()
        ink = np.sqrt(x.T / max(float(x.max()), 1.0))
        panel.imshow(ink, cmap="gray_r", vmin=0, aspect="auto", interpolation="nearest")
        panel.set_xlabel("step")
        panel.set_ylabel("unit")
        panel.set_title(title, fontsize=9)
    save(figure, path)


def _colours(x: NDArray[Any]) -> NDArray[np.float64]:
    """[T, H, W, 3] in 0..1."""
    if x.shape[1] == 3:
        return x.transpose(0, 2, 3, 1) / 255.0
    if x.shape[1] == 1:
        return np.repeat(x.transpose(0, 2, 3, 1) / max(float(x.max()), 1.0), 3, axis=3)
    ink = np.sqrt(x / max(float(x.max()), 1.0))  # so that single events stay visible
    off, on = ink[:, 0], ink[:, 1]
    return np.stack([1 - off, 1 - np.maximum(on, off) * 0.9, 1 - on], axis=3)
