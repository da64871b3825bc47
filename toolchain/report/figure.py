"""What all pictures share: colours, type, and files that are equal for equal data."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..ground.files import atomic_write, writable
from ..ground.shown import shown
from ..ir.neurons import NEURONS

INK, PALE, BAND, IDLE = "#222222", "#c8c8c8", "#f1f3f6", "#d8d8d8"
KINDS = {kind.__name__: kind.colour for kind in NEURONS}
"""Colour of each neuron program."""
STYLE = {
    "svg.hashsalt": "sfx",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.parse_math": False,  # a name with two $ is a name, not a formula
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


PICTURES = (".png", ".svg")
LONGEST = 40
"""Characters of a name in a picture."""


def label(name: str) -> str:
    """A name as a picture has space for it."""
    return shown(name, LONGEST)


def save(figure: Figure, path: str | Path | io.BytesIO, kind: str | None = None) -> None:
    """Write as .svg or .png (by suffix, or `kind`), without dates or software versions.

    A file is written in one step. Raises InputError (SFX-E603) if it cannot be.
    """
    if not isinstance(path, io.BytesIO):
        writable(Path(path), () if kind else PICTURES)
        buffer = io.BytesIO()
        save(figure, buffer, kind or Path(path).suffix[1:].lower())
        atomic_write(Path(path), buffer.getvalue())
        return
    metadata: dict[str, Any] = (
        {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    )
    with rc_context(STYLE):
        figure.savefig(path, format=kind, metadata=metadata, dpi=150)


def svg(figure: Figure) -> str:
    """The picture as an <svg> element for a page: no prolog, no names that could clash."""
    buffer = io.BytesIO()
    save(figure, buffer, "svg")
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r' id="[A-Za-z0-9]+_\d+"', "", text)
