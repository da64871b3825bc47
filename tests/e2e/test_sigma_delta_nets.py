"""Intel's sigma-delta networks: every value that lava-dl's tests hold, and Lava's own processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.backends.reference.backend import ReferenceBackend
from sfx.backends.reference.connections.conv2d import correlate
from sfx.backends.reference.neurons.delta import encoded
from sfx.backends.reference.neurons.sigma_delta import reset, step
from sfx.toolchain.app import api
from sfx.toolchain.app.cli import app
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import (
    Conv2d,
    Delta,
    Dense,
    Input,
    Population,
    Program,
    Projection,
    Readout,
    Sigma,
    SigmaDelta,
)

STEPS = 20
LAYERS = 9
MOST = (1 << 23) - 1


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def folder(name: str, data: Path) -> Path:
    found = data / name
    if not found.is_dir():
        pytest.skip(f"{found} is not there")
    return found


def steady(image: IntArray, program: Program) -> IntArray:
    """The image [x, y, c] at every step, [1, T, c, y, x], cut to the input's size."""
    _, height, width = program.input.shape
    x = image.transpose(2, 1, 0)[:, :height, :width]
    return np.broadcast_to(x, (1, program.timesteps, *x.shape))


def received(program: Program, post: str, sent: dict[str, IntArray]) -> IntArray:
    """The sum of all that a convolution's neurons received [T, *shape], as Lava's `sigma`."""
    total: IntArray = np.zeros((), np.int64)
    for j in program.incoming[post]:
        assert isinstance(j.connection, Conv2d)
        kernel = j.connection.weight << j.weight_exp
        total = total + correlate(j.connection, kernel, sent[j.pre])
    late = np.concatenate([np.zeros_like(total[:1]), total[:-1]])  # a step on the way
    return np.cumsum(late, axis=0)


@pytest.mark.needs_data
def test_every_layer_and_step_of_pilotnet_is_intels(data_dir: Path) -> None:
    home = folder("pilotnet_sdnn", data_dir)
    program = api.compile(home / "network.net", timesteps=STEPS).program
    x = steady(np.load(home / "input.npy")[..., 0], program)
    sent = ReferenceBackend().stream(program, x).spikes
    assert np.array_equal(sent["input"].transpose(3, 2, 1, 0), np.load(home / "act0.npy"))
    compared = sent["input"].size
    for name, file in (("conv1", "sigma1.npy"), ("conv2", "sigma2.npy")):
        expected = np.load(home / file)
        assert np.array_equal(received(program, name, sent).transpose(3, 2, 1, 0), expected)
        compared += expected.size
    output = np.load(home / "output.npy")[0]
    assert sent["dense9"][: len(output), 0].tolist() == output.tolist()
    assert np.count_nonzero(output) == 8
    assert compared == 198_000 + 376_320 + 120_960


@pytest.mark.needs_data
def test_every_layer_and_step_of_the_square_net_is_intels(data_dir: Path) -> None:
    home = folder("pilotnet_sdnn", data_dir)
    program = api.compile(home / "square_network.net", timesteps=STEPS).program
    x = steady(np.load(home / "input.npy")[..., 0], program)
    sent = ReferenceBackend().stream(program, x).spikes
    for i in range(1, 5):
        expected = np.load(home / f"sigma{i}_square.npy")
        assert np.count_nonzero(expected)
        assert np.array_equal(received(program, f"conv{i}", sent).transpose(3, 2, 1, 0), expected)


@pytest.mark.needs_data
def test_tinynets_input_is_intels(data_dir: Path) -> None:
    """Images whose brightness is a sine, through a Delta of threshold 20."""
    home = folder("tinynet_sdnn", data_dir)
    image, expected = np.load(home / "input_bias.npy"), np.load(home / "input.npy")
    steps = expected.shape[-1]
    x = (image[..., None] * np.sin(2 * np.pi * np.arange(steps) / steps)).astype(np.int64)
    n = Delta(6, 1, vth=20, spike_exp=6, state_exp=6)
    source = Population("in", (image.size,), n, -MOST, MOST, 0)
    got = encoded(x.reshape(1, -1, steps).swapaxes(1, 2), source)[0].T
    assert np.array_equal(got.reshape(expected.shape), expected)
    assert np.count_nonzero(expected) == 1373


@pytest.mark.needs_data
def test_tinynets_layers_are_intels(data_dir: Path) -> None:
    """Its first step is its bias; its last layer sums the weights of all that sent anything.

    Intel's test gives that layer no message bits, so its messages are binary.
    """
    home = folder("tinynet_sdnn", data_dir)
    bias, messages = np.load(home / "layer1_bias.npy"), np.load(home / "layer1.npy")
    shape = messages.shape[:-1]
    n = SigmaDelta(20, np.broadcast_to(bias, shape).astype(np.int64), 6, 6, 1)
    _, sent = step(n, reset((1, *shape)), np.zeros((1, *shape), np.int64))
    assert np.array_equal(sent[0], messages[..., 0])
    assert np.count_nonzero(sent) == 144
    weight, expected = np.load(home / "layer2_weight.npy"), np.load(home / "layer2.npy")
    steps = messages.shape[-1]
    arriving = (messages.reshape(-1, steps).T != 0).astype(np.int64)
    source = Population("in", (arriving.shape[1],), Input(), 0, 1, 0)
    sums = Population("out", (len(weight),), Sigma(), -MOST, MOST, 0)
    connection, exponent = Dense(2 * weight.astype(np.int64)), -1
    joint = Projection("in->out", "in", "out", connection, "a_in", exponent, 1, 1)
    readout = Readout("out", 1.0, (0,) * sums.size)
    program = Program((source, sums), (joint,), steps, readout)
    check_program(program, balanced=True)
    got = ReferenceBackend().stream(program, arriving[None]).spikes["out"]
    assert np.array_equal(got.T, expected)
    assert np.count_nonzero(expected) == 1500


@pytest.mark.needs_data
def test_a_sigma_delta_file_on_the_command_line(data_dir: Path, tmp_path: Path) -> None:
    """compile, run, verify and report take it; samples may be negative."""
    home, bundle, data = folder("pilotnet_sdnn", data_dir), tmp_path / "a.sfx", tmp_path / "x.npz"
    file = str(home / "square_network.net")
    run("compile", file, "--timesteps", "6", "--objective", "cores", "-o", str(bundle))
    program = api.load(bundle).program
    x = steady(np.load(home / "input.npy")[..., 0], program)
    assert x.min() < 0
    np.savez(data, x=np.concatenate([x, x // 2]))
    run("run", str(bundle), "--input", str(data))
    assert "EQUAL" in run("verify", str(bundle), "--input", str(data), "--against", "onnx")
    assert "SigmaDelta" in run("report", str(bundle), "--input", str(data))


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"timesteps": 8}, "SFX-E166"),
        ({}, "SFX-E166"),
        ({"timesteps": 12, "net_input": "raw"}, "SFX-E173"),
    ],
)
def test_what_would_be_read_wrong_is_refused(
    data_dir: Path, options: dict[str, Any], code: str
) -> None:
    home = folder("pilotnet_sdnn", data_dir)
    with pytest.raises(InputError, match=code):
        api.compile(home / "network.net", **options)


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("layer", "field", "value", "code"),
    [
        ("3/neuron", "activation", b"sigmoid", "SFX-E162"),
        ("3/neuron", "vThMant", -1, "SFX-E162"),
        ("3/neuron", "messageBits", 99, "SFX-E162"),
        ("9", "bias", [3], "SFX-E162"),
        ("3/neuron", "type", b"LOIHI", "SFX-E16[23]"),
    ],
)
def test_layers_that_netx_reads_otherwise_are_refused(
    data_dir: Path, tmp_path: Path, layer: str, field: str, value: Any, code: str
) -> None:
    path = tmp_path / "changed.net"
    path.write_bytes((folder("pilotnet_sdnn", data_dir) / "network.net").read_bytes())
    with h5py.File(path, "r+") as file:
        group = file[f"layer/{layer}"]
        if field in group:
            del group[field]
        group[field] = value
    with pytest.raises(SfxError, match=code):
        read(path, timesteps=12)


@pytest.mark.needs_data
@pytest.mark.needs_lava
@pytest.mark.slow
def test_lavas_own_processes_send_the_same(data_dir: Path) -> None:
    from sfx.backends.lava.backend import LavaBackend

    home = folder("pilotnet_sdnn", data_dir)
    program = api.compile(home / "network.net", timesteps=LAYERS + 1).program
    x = steady(np.load(home / "input.npy")[..., 0], program)
    expected, got = (b.stream(program, x) for b in (ReferenceBackend(), LavaBackend()))
    for p in program:
        assert np.array_equal(got.spikes[p.name], expected.spikes[p.name])
        assert expected.spikes[p.name].any()
    assert sum(e.size for e in expected.spikes.values()) == (LAYERS + 1) * 43_117
