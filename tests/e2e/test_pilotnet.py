"""PilotNet LIF: Intel's reference spikes, u and v, bit for bit, on every layer and step.

The shared golden data are 24 steps of the network run with a reset every 17 steps, the one of
layer i (counted from the input layer) i steps later. In `v` a neuron that spikes shows 128: the
probe of the chip marks the spike there, while the membrane returns to 0 (as the LIF trace of a
real chip shows too). Everything else is compared as it is.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.base import Stream
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import load

pytestmark = pytest.mark.needs_data

GOLDEN = {
    "conv1": "conv-0",
    "conv2": "conv-1",
    "conv3": "conv-2",
    "conv4": "conv-3",
    "conv5": "conv-4",
    "dense7": "fc-0",
    "dense8": "fc-1",
    "dense9": "fc-2",
}
STEPS = 24
INTERVAL = 17
SPIKE_MARK = 128


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    path = data_dir / "pilotnet_lif"
    if not (path / "network.net").is_file():
        pytest.skip(f"no PilotNet data in {path}")
    return path


def balanced(program: Program) -> Program:
    out = BalanceDelays(max_delay=62).run(program)
    check_program(out, balanced=True)
    return out


def golden(folder: Path, name: str) -> IntArray:
    """[steps, C, H, W] or [steps, neurons] of a file in the order (W, H, C, steps)."""
    array = np.moveaxis(np.load(folder / f"{name}.npy").astype(np.int64), -1, 0)
    return array.transpose(0, 3, 2, 1) if array.ndim == 4 else array


def differences(stream: Stream, folder: Path, ours: str, at: slice, to: slice) -> dict[str, int]:
    """Values that differ: our steps `at` against the golden steps `to`."""
    name = GOLDEN[ours]
    spikes = golden(folder, name)
    assert spikes[to].any(), f"{name} is silent: the comparison would say nothing"
    out = {"spikes": int(np.sum(stream.spikes[ours][at] != spikes[to]))}
    if name != "conv-0":  # whose u and v are not in the data
        u, v = golden(folder, f"{name}-u"), golden(folder, f"{name}-v")
        marked = np.where(spikes[to] == 1, SPIKE_MARK, stream.v[ours][at])
        out["u"] = int(np.sum(stream.u[ours][at] != u[to]))
        out["v"] = int(np.sum(marked != v[to]))
    return out


def test_intel_s_cores(folder: Path) -> None:
    """Objective `intel` takes the cores of Intel's log, layer by layer."""
    program = balanced(read(folder / "network.net", timesteps=INTERVAL, data="transformed"))
    placed = place(program, load("loihi2-12000"), MappingOptions("intel"))
    count = Counter(b.population for b in placed.blocks)
    ours = [count[p.name] for p in program if p.name in count]
    intel = [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]  # 74, the log of lava-dl's benchmark notebook
    assert ours == intel
    assert placed.cores == sum(intel)


def test_every_layer_and_step_from_the_input_spikes(folder: Path) -> None:
    """The network behind its input layer, fed the golden input spikes: all 24 steps are equal,
    those before a layer's phase included.
    """
    program = balanced(read(folder / "network.net", timesteps=INTERVAL, skip_input=True))
    x = np.zeros((2, INTERVAL, *program.input.shape), dtype=np.int64)
    x.reshape(-1, *program.input.shape)[:STEPS] = golden(folder, "input")
    stream = ReferenceBackend().stream(program, x, states=True)
    everything = slice(0, STEPS)
    for ours in GOLDEN:
        found = differences(stream, folder, ours, everything, everything)
        assert not any(found.values()), f"{GOLDEN[ours]}: {found}"


def test_the_whole_network_from_the_image(folder: Path) -> None:
    """The image as graded input: the input layer's spikes are the golden ones, and every layer is
    equal from its phase on. Our input crosses one projection, so all comes one step later.
    """
    program = balanced(read(folder / "network.net", timesteps=INTERVAL, data="transformed"))
    image = np.load(folder / "image.npy").transpose(2, 1, 0).astype(np.int64)
    x = np.broadcast_to(image, (2, INTERVAL, *image.shape))
    stream = ReferenceBackend().stream(program, x, states=True)
    assert np.array_equal(stream.spikes["input0"][1 : STEPS + 1], golden(folder, "input"))
    for ours in GOLDEN:
        phase = program[ours].phase
        at, to = slice(phase, STEPS + 1), slice(phase - 1, STEPS)
        found = differences(stream, folder, ours, at, to)
        assert not any(found.values()), f"{GOLDEN[ours]}: {found}"


def test_the_comparison_sees_a_reset_that_comes_late(folder: Path) -> None:
    """With a reset every 16 steps, as the file's tSample says, the data differ."""
    program = balanced(read(folder / "network.net", skip_input=True))
    assert program.timesteps == 16
    x = np.zeros((2, 16, *program.input.shape), dtype=np.int64)
    x.reshape(-1, *program.input.shape)[:STEPS] = golden(folder, "input")
    stream = ReferenceBackend().stream(program, x, states=True)
    found = differences(stream, folder, "conv2", slice(0, STEPS), slice(0, STEPS))
    assert found["spikes"]
    assert found["v"]


def test_tinynet_gives_the_reference_output(data_dir: Path) -> None:
    """lava-dl's own test of tiny.net: image as bias, reset every 17 steps, steps 1..15."""
    folder = data_dir / "lava_dl"
    if not (folder / "tiny.net").is_file():
        pytest.skip(f"no tiny.net in {folder}")
    program = balanced(read(folder / "tiny.net", timesteps=17, data="transformed"))
    image = np.load(folder / "tinynet" / "input_bias.npy").transpose(2, 1, 0).astype(np.int64)
    x = np.broadcast_to(image, (1, 17, *image.shape))
    out = ReferenceBackend().layers(program, x)[program.readout.population][0]
    expected = np.moveaxis(np.load(folder / "tinynet" / "output.npy")[0], -1, 0)
    assert expected[1:].any()
    assert np.array_equal(out[:15], expected[1:])


def test_trained_mnist_runs(data_dir: Path) -> None:
    """A trained network without an input layer, with currents that decay slowly."""
    path = data_dir / "lava_dl" / "trained_mnist_network.net"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    program = balanced(read(path, timesteps=16))
    assert [p.shape for p in program] == [(784,), (128,), (64,), (10,)]
    x = np.random.default_rng(0).integers(0, 2, (1, 16, 784))
    stream = ReferenceBackend().stream(program, x)
    assert all(s.any() for s in stream.spikes.values())
