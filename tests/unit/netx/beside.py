"""lava-dl in processes of its own: SLAYER's blocks, which are slow to import, and netx on Lava."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.netx import files

ROOT = Path(__file__).resolve().parents[3]


def run_slayer(module: str, folder: Path) -> Path:
    """Have a module of the tests fill the folder with what SLAYER computes and exports."""
    done = subprocess.run(timeout=300, capture_output=True, text=True, **_python(module, folder))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def run_netx(folder: Path) -> None:
    """As `run_netx.py` says. The process group is ended: Lava's processes do not end themselves."""
    child = subprocess.Popen(
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **_python("tests.unit.netx.run_netx", folder),
    )
    try:
        text, _ = child.communicate(timeout=200)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    assert child.returncode == 0, text.decode()[-2000:]


def one_sample_each(
    folder: Path,
    nets: Iterable[tuple[str, list[files.Fields]]],
    steps: int,
    inputs: int,
    rng: np.random.Generator,
) -> Path:
    """Write the nets, and what netx computes for one sample of each; two empty steps follow it."""
    for name, layers in nets:
        path = files.write(folder / f"{name}.net", layers, steps=steps)
        frames = np.zeros((steps + 2, inputs), np.int64)
        frames[:steps] = rng.integers(0, 2, (steps, inputs))
        np.savez(path.with_suffix(".job.npz"), x=frames, interval=steps + 2, image=False)
    run_netx(folder)
    return folder


def _python(module: str, folder: Path) -> dict[str, Any]:
    """Arguments of a process that runs a module of this checkout."""
    return {
        "args": [sys.executable, "-m", module, str(folder)],
        "env": os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        "cwd": ROOT,
    }
