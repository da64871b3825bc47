"""What SLAYER's own blocks compute and export, once for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def slayer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `run_slayer.py` fills."""
    folder = tmp_path_factory.mktemp("slayer")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.netx.run_slayer", str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
