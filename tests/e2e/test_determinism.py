"""The same model, samples and options give the same bytes, in any process, with any threads."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.formats.nir.bridge import from_graph, write
from tests.graphs import live_case

ROOT = Path(__file__).resolve().parents[2]
RUNS = (
    # threads, seed of Python's hashes, time zone
    ("1", "1", "UTC"),
    ("2", "77", "Asia/Tokyo"),
    ("7", "random", "America/Lima"),
)


def digest(folder: Path, model: str, data: str, run: tuple[str, str, str], number: int) -> str:
    """SHA-256 of the bundle that one `sfx compile` of its own writes."""
    threads, seed, zone = run
    out = folder / f"out{number}" / "m.sfx"
    out.parent.mkdir()
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    env = {**os.environ, **{f"{p}_NUM_THREADS": threads for p in pools}}
    env |= {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "sfx.toolchain.app.cli", "compile", model, "-o", str(out)]
    done = subprocess.run(
        [*command, "--calibrate", data], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return hashlib.sha256(out.read_bytes()).hexdigest()


def test_a_nir_file(tmp_path: Path) -> None:
    """A causal attention block with real weights: products, relays, accumulators, placement."""
    graph, x = live_case(False, True, 1)
    write(from_graph(graph), tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", x=x.astype(np.uint8))
    found = {digest(tmp_path, "m.nir", "x.npz", run, i) for i, run in enumerate(RUNS[::2])}
    assert len(found) == 1
    other = np.where(np.arange(x.size).reshape(x.shape) == 0, 1 - x, x)
    for name, samples in (("x", x), ("y", other)):  # one event differs: the comparison can fail
        api.save(
            api.compile(tmp_path / "m.nir", calibrate=api.Data(samples.astype(np.uint8), None)),
            tmp_path / name,
        )
    same, differs = (hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in "xy")
    assert {same} == found
    assert differs != same


@pytest.mark.needs_torch
def test_a_checkpoint(tmp_path: Path) -> None:
    """Traced by torch, quantized on samples."""
    torch = pytest.importorskip("torch")
    from sfx.frontends import zoo

    config = {"image_size": 8, "stem": [4], "dim": 8, "depth": 1, "heads": 2, "timesteps": 4}
    torch.manual_seed(0)
    model = zoo.build("spikeformer", config)
    saved = {"sfx": 1, "model": "spikeformer", "config": config, "state_dict": model.state_dict()}
    torch.save(saved, tmp_path / "m.pt")
    x = np.random.default_rng(0).random((3, *model.input_shape[:1], *model.input_shape[2:])) < 0.4
    np.savez(tmp_path / "x.npz", x=x.astype(np.uint8))
    found = {digest(tmp_path, "m.pt", "x.npz", run, i) for i, run in enumerate(RUNS[:2])}
    assert len(found) == 1
