"""Last layers of `.net` files whose neurons never fire: against SLAYER's own blocks, and netx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import LI, Program
from tests.unit.netx import files
from tests.unit.netx.beside import one_sample_each

STEPS = 24
V_UNIT = 1 << 12
"""Integers of a membrane per 1.0 of SLAYER's: its scale of 64, times 64."""


def net(path: Path, steps: int | None = STEPS) -> Program:
    program = BalanceDelays(max_delay=62).run(read(path, timesteps=steps))
    check_program(program, balanced=True)
    return program


@pytest.mark.needs_lava
@pytest.mark.parametrize("name", ["affine", "no neuron"])
def test_slayers_voltage_is_the_membrane(slayer: Path, name: str) -> None:
    """At every step and bit for bit; the read-out is what people make of it."""
    record = np.load(slayer / f"{name}.npz")
    program = net(slayer / f"{name}.net")
    x = record["x"].astype(np.int64)
    sent = FastBackend().layers(program, x)
    first, last = program.populations[1:]
    assert isinstance(last.neuron, LI)
    assert 0.05 < record["1"].mean() < 0.95
    assert np.array_equal(sent[first.name], record["1"])
    theirs = record["2"] if name == "affine" else record["2"].cumsum(axis=1)
    assert np.abs(theirs).mean() > 1
    assert np.array_equal(sent[last.name] / V_UNIT, theirs)
    value = FastBackend().run(program, x).sums / program.readout.scale / 64
    wanted = record["2"].mean(axis=1) if name == "affine" else record["2"].sum(axis=1)
    assert np.abs(value - wanted).max() < 1e-5 * np.abs(wanted).max()


def live(summed: bool, bias: bool) -> list[files.Fields]:
    """dense, dense with neurons that never fire, or without any."""
    rng = np.random.default_rng(4)
    second = files.dense(
        rng.integers(-60, 70, (5, 12)),
        files.neuron(1100, 700, (1 << 18) - 1),
        rng.integers(-9, 9, 5) if bias else None,
    )
    if summed:
        del second["neuron"]
    return [files.dense(rng.integers(-60, 90, (12, 9)), files.neuron(1229, 410, 60)), second]


CASES = {
    "affine": live(False, False),
    "affine with a bias": live(False, True),
    "no neuron": live(True, False),
    "no neuron, but a bias": live(True, True),
}


@pytest.fixture(scope="module")
def netx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, and what netx computed for one sample of each."""
    rng = np.random.default_rng(2)
    return one_sample_each(tmp_path_factory.mktemp("netx"), CASES.items(), STEPS, 9, rng)


@pytest.mark.needs_lava
@pytest.mark.parametrize("name", CASES)
def test_netx_has_the_same_membrane(netx: Path, name: str) -> None:
    """v of netx's last layer on Lava, at every step of a sample."""
    program = net(netx / f"{name}.net", None)
    last = program.populations[-1]
    with np.load(netx / f"{name}.out.npz") as out, np.load(netx / f"{name}.job.npz") as job:
        theirs, x = out["v"][last.phase :][:STEPS], job["x"][:STEPS]
        assert not out["1"].any(), "it fires"
    ours = ReferenceBackend().layers(program, x[None])[last.name][0]
    offset = np.array(program.readout.offset)
    assert len(np.unique(theirs)) > STEPS
    assert np.array_equal(ours + offset, theirs)
    assert offset.any() == (name == "no neuron, but a bias")


@pytest.mark.parametrize("name", CASES)
def test_all_backends_read_the_same(tmp_path: Path, name: str) -> None:
    bundle = api.compile(files.write(tmp_path / "a.net", CASES[name], steps=STEPS))
    api.save(bundle, tmp_path / "a.sfx")
    program = api.load(tmp_path / "a.sfx").program
    assert program.readout == bundle.program.readout
    x = np.random.default_rng(0).integers(0, 2, (4, STEPS, 9))
    found = [b.run(program, x) for b in (ReferenceBackend(), FastBackend(), OnnxBackend())]
    assert len(np.unique(found[0].sums)) == found[0].sums.size
    assert all(np.array_equal(f.sums, found[0].sums) for f in found)
    events = [f.counts.events[program.readout.population] for f in found]
    assert all(np.array_equal(e, events[0]) for e in events)


@pytest.mark.needs_lava
def test_lava_reads_the_same(tmp_path: Path) -> None:
    """Samples back to back: every spike, and u and v of every neuron."""
    bundle = api.compile(files.write(tmp_path / "a.net", CASES["affine with a bias"], steps=8))
    x = np.random.default_rng(0).integers(0, 2, (2, 8, 9))
    verdict = api.verify(bundle, x, states=True)
    assert verdict.equal
    assert verdict.compared >= 2 * 8 * (9 + 3 * (12 + 5))


def test_only_the_last_layer_may_be_read_out(tmp_path: Path) -> None:
    first, second = CASES["no neuron"]
    for layers in ([second, first], [CASES["affine"][1], first]):
        path = files.write(tmp_path / "a.net", layers)
        with pytest.raises(SfxError, match=r"(?s)SFX-E162.*last layer"):
            read(path)
