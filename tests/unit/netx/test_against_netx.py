"""Our Program of a `.net` file against lava-dl's own netx on Lava: every spike of every layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.netx import weights as netx_weights
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import LIF, Program
from tests.unit.netx import files
from tests.unit.netx.beside import run_netx

pytestmark = pytest.mark.needs_lava
SAMPLES = 2
IMAGE = "image"
CASES = {"conv": files.live_conv_net(), IMAGE: files.live_image_net(), **files.live_dense_nets()}


def program_of(path: Path) -> Program:
    program = BalanceDelays(max_delay=62).run(read(path, data="transformed"))
    check_program(program, balanced=True)
    return program


def sample(program: Program, name: str) -> IntArray:
    """Events [K, T, *input shape]: random spikes, or one image for all steps."""
    rng = np.random.default_rng(1)
    shape = program.input.shape
    if name == IMAGE:
        image = rng.integers(0, 80, shape)
        return np.broadcast_to(image, (SAMPLES, program.timesteps, *shape))
    return rng.integers(0, 2, (SAMPLES, program.timesteps, *shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nets, and what netx computed for them in one Lava process."""
    folder = tmp_path_factory.mktemp("netx")
    for name, layers in CASES.items():
        path = files.write(folder / f"{name}.net", layers)
        program = program_of(path)
        x = sample(program, name)
        steps = SAMPLES * program.timesteps + program.last_phase
        frames = np.zeros((steps, *program.input.shape), np.int64)
        frames[: SAMPLES * program.timesteps] = x.reshape(-1, *program.input.shape)
        job = {"x": frames, "interval": program.timesteps, "image": name == IMAGE}
        np.savez(path.with_suffix(".job.npz"), **job)
    run_netx(folder)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_equals_netx(folder: Path, name: str) -> None:
    """Two samples back to back: every spike of every layer and step, those before a layer's phase
    included. Only an image, which netx sets as bias and ours receives through a projection, comes
    one step later in ours, and so is compared from each layer's phase on.
    """
    program = program_of(folder / f"{name}.net")
    stream = ReferenceBackend().stream(program, sample(program, name))
    names = [p.name for p in program if isinstance(p.neuron, LIF)]
    with np.load(folder / f"{name}.out.npz") as out:
        assert set(out.files) == {str(i) for i in range(len(names))} | {"v"}
        for i, layer in enumerate(names):
            phase = program[layer].phase
            if name == IMAGE:
                end = SAMPLES * program.timesteps
                ours, theirs = stream.spikes[layer][phase:end], out[str(i)][phase - 1 : end - 1]
            else:
                ours, theirs = stream.spikes[layer], out[str(i)]
            assert 0 < theirs.mean() < 1, f"{layer} says nothing"
            assert np.array_equal(ours, theirs), layer


def test_the_cases_reach_every_way_to_write_weights() -> None:
    """As they are, doubled, split, changed by netx."""
    ways = set()
    for layers in CASES.values():
        for layer in layers:
            if "weight" not in layer or layer["type"] == "input":
                continue
            used = layer["weight"]
            if layer["type"] == "dense":
                used = netx_weights.dense(used, "")
                if not np.array_equal(used, layer["weight"]):
                    ways.add("changed")
            legal = netx_weights.legal(used, "", shift=layer["type"] == "dense")
            ways.add("split" if len(legal) == 2 else "doubled" if legal[0][1] else "as it is")
            total = sum(np.ldexp(m, e) for m, e in legal)
            assert np.array_equal(total, used)
    assert ways == {"as it is", "doubled", "split", "changed"}
