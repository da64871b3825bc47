"""No damaged file crashes a reader: it is read, or refused with an error of ours.

A short run here; `scripts/fuzz.py` breaks 100,000 files a reader, led by what they cover.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from sfx.toolchain.ground.errors import SfxError
from tests.fuzz.readers import READERS, Reader, damaged

pytestmark = pytest.mark.needs_torch
EXAMPLES = 80
CHOICES = 40
"""Bytes that decide what is broken, and how."""


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.name)
def test_seeds_are_sound(reader: Reader, tmp_path: Path) -> None:
    sound = 0
    for i, content in enumerate(reader.seeds(tmp_path)):
        path = tmp_path / f"seed{i}{reader.suffix}"
        path.write_bytes(content)
        try:
            reader.read(path)
            sound += 1
        except SfxError:
            pass  # a seed may be one that is refused late
    assert sound, "no seed is read to its end, so nothing behind the first check is reached"


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.name)
def test_damaged_files_are_refused_in_our_words(reader: Reader, tmp_path: Path) -> None:
    seeds = reader.seeds(tmp_path)
    path = tmp_path / f"damaged{reader.suffix}"
    source = random.Random(reader.name)
    for _ in range(EXAMPLES):
        path.write_bytes(damaged(reader, seeds, source.randbytes(CHOICES)))
        with suppress(SfxError):
            reader.read(path)
