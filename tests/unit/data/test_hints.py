"""What is nearly DATA is refused with the way to make DATA of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.toolchain.data import read, samples_of
from sfx.toolchain.ground.errors import InputError

COLUMN = np.arange(4)
NEARLY: dict[str, tuple[dict[str, Any], str]] = {
    "an image over 255": ({"x": np.full((2, 3, 4, 4), 0.3)}, "pixels 0..255: divide by 255"),
    "a normalised image": ({"x": np.full((2, 3, 4, 4), -1.7)}, "pixels 0..255: divide by 255"),
    "rates": ({"x": np.full((2, 3, 4, 4), 17.5)}, "bin events into counts"),
    "spikingjelly's frames": ({"frames": np.ones((2, 3))}, "--from spikingjelly FOLDER"),
    "events": ({"x": COLUMN, "y": COLUMN, "t": COLUMN, "p": COLUMN}, "--from recordings PATH"),
}


@pytest.mark.parametrize("what", NEARLY)
def test_files(tmp_path: Path, what: str) -> None:
    arrays, hint = NEARLY[what]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError) as raised:
        read(tmp_path / "a.npz")
    assert hint in raised.value.problems[0].hint
    if set(arrays) == {"x"}:
        with pytest.raises(InputError) as raised:
            samples_of(arrays["x"])
        assert hint in raised.value.problems[0].hint


@pytest.mark.parametrize("name", ["a.aedat4", "a.raw", "A.DAT", "a.csv"])
def test_recordings(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"% evt 3.0\n")
    with pytest.raises(InputError, match="SFX-E610") as raised:
        read(tmp_path / name)
    assert "--from recordings PATH" in raised.value.problems[0].hint
