"""What SLAYER's own blocks compute and export, once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.netx.beside import run_slayer


@pytest.fixture(scope="session")
def slayer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `run_slayer.py` fills."""
    return run_slayer("tests.unit.netx.run_slayer", tmp_path_factory.mktemp("slayer"))
