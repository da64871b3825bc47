"""Axonal delays and recurrent layers of `.net` files: against SLAYER, netx and Lava."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import Clock, Program
from tests.unit.netx import files
from tests.unit.netx.beside import one_sample_each

STEPS = 24
SENDS = {
    "delays": {"1": "dense1.delayed", "2": "dense2.delayed"},
    "conv delays": {"1": "conv1.delayed", "3": "dense3.delayed"},
    "recurrent": {"1": "dense1", "2": "dense_rec2"},
    "recurrent, delays": {"1": "dense1", "2": "dense_rec2.delayed"},
}
"""Case -> SLAYER's layer -> the population that sends what it does."""


def net(path: Path, steps: int | None = STEPS) -> Program:
    program = BalanceDelays(max_delay=62).run(read(path, timesteps=steps))
    check_program(program, balanced=True)
    return program


@pytest.mark.needs_lava
@pytest.mark.parametrize("name", SENDS)
def test_slayers_spikes(slayer: Path, name: str) -> None:
    """Every spike, samples back to back, on all backends; nothing reaches the next sample."""
    record = np.load(slayer / f"{name}.npz")
    program = net(slayer / f"{name}.net")
    x = record["x"].astype(np.int64)
    stream = ReferenceBackend().stream(program, x)
    for layer, population in SENDS[name].items():
        theirs = record[layer]
        assert 0.05 < theirs.mean() < 0.95
        ours = align(stream.spikes[population], program[population].phase, len(x), STEPS)
        assert np.array_equal(ours, theirs), population
    found = [b.run(program, x) for b in (ReferenceBackend(), FastBackend(), OnnxBackend())]
    counts = record[max(SENDS[name])].reshape(len(x), STEPS, -1).sum(axis=1)
    assert all(np.array_equal(f.sums, counts) for f in found)


def dense(rng: np.random.Generator, post: int, pre: int, **fields: Any) -> dict[str, Any]:
    made = files.dense(rng.integers(-60, 90, (post, pre)), files.neuron(1229, 410, 60))
    return {**made, **fields}


def recurrent(rng: np.random.Generator) -> dict[str, Any]:
    own = rng.integers(-90, 60, (7, 7))
    return dense(rng, 7, 12) | {"type": "dense_rec", "weight_rec": own}


NETS: dict[str, Callable[[np.random.Generator], list[dict[str, Any]]]] = {
    "late": lambda rng: [dense(rng, 12, 9, delay=rng.integers(0, 6, 12)), dense(rng, 5, 12)],
    "one delay": lambda rng: [dense(rng, 12, 9, delay=np.array([3] * 12)), dense(rng, 5, 12)],
    "read late": lambda rng: [dense(rng, 12, 9), dense(rng, 5, 12, delay=rng.integers(0, 6, 12))],
    "recurrent": lambda rng: [dense(rng, 12, 9), recurrent(rng)],
}
OURS = {
    "late": ("dense0.delayed", "dense1"),
    "one delay": ("dense0.delayed", "dense1"),
    "read late": ("dense0", "dense1"),
    "recurrent": ("dense0", "dense_rec1"),
}


@pytest.fixture(scope="module")
def netx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nets, and what netx computed for one sample of each."""
    rng = np.random.default_rng(8)
    drawn = ((name, layers(rng)) for name, layers in NETS.items())
    return one_sample_each(tmp_path_factory.mktemp("netx"), drawn, STEPS, 9, rng)


@pytest.mark.needs_lava
@pytest.mark.parametrize("name", NETS)
def test_netx_sends_the_same(netx: Path, name: str) -> None:
    program = net(netx / f"{name}.net", None)
    with np.load(netx / f"{name}.out.npz") as out, np.load(netx / f"{name}.job.npz") as job:
        x = job["x"][:STEPS]
        theirs = [out[str(i)] for i in range(2)]
    ours = ReferenceBackend().layers(program, x[None])
    for i, population in enumerate(OURS[name]):
        sent = theirs[i][1 + i :][:STEPS]  # netx's layer i computes a step after the one before
        assert 0.05 < sent.mean() < 0.95
        assert np.array_equal(ours[population][0], sent), population


@pytest.mark.needs_lava
@pytest.mark.parametrize("name", ["late", "recurrent"])
def test_lava_agrees_sample_by_sample(tmp_path: Path, name: str) -> None:
    """Our network in Lava, samples back to back: every spike, u and v."""
    layers = NETS[name](np.random.default_rng(8))
    bundle = api.compile(files.write(tmp_path / "a.net", layers, steps=10))
    x = np.random.default_rng(0).integers(0, 2, (2, 10, 9))
    verdict = api.verify(bundle, x, states=True)
    assert verdict.equal
    assert verdict.compared > 2 * 10 * (9 + 2 * 12 + 3 * 5)


def late_program(tmp_path: Path) -> Program:
    layers = NETS["late"](np.random.default_rng(8))
    return net(files.write(tmp_path / "a.net", layers, steps=STEPS), None)


def test_a_sample_does_not_reach_the_next_one(tmp_path: Path) -> None:
    """Samples back to back are samples alone; without the clock's ticks they are not, and that is
    found when the Program is checked.
    """
    program = late_program(tmp_path)
    x = np.random.default_rng(1).integers(0, 2, (3, STEPS, 9))
    x[:, -6:] = 1  # much is on the way when a sample ends
    output = program.readout.population

    def sent(made: Program, samples: np.ndarray) -> np.ndarray:
        spikes = ReferenceBackend().stream(made, samples).spikes[output]
        return align(spikes, made[output].phase, len(samples), STEPS)

    alone = np.concatenate([sent(program, x[i : i + 1]) for i in range(3)])
    assert np.array_equal(sent(program, x), alone)
    (clock,) = [p.name for p in program if isinstance(p.neuron, Clock)]
    kept = tuple(j for j in program.projections if j.pre != clock)
    open_ = replace(program, projections=kept)
    assert not np.array_equal(sent(open_, x), alone)
    with pytest.raises(SfxError, match="SFX-E349"):
        check_program(open_, balanced=True)
    for missing in [j for j in program.projections if j.pre == clock]:
        fewer = tuple(j for j in program.projections if j is not missing)
        with pytest.raises(SfxError, match="SFX-E349"):
            check_program(replace(program, projections=fewer), balanced=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"weight_rec": np.ones((7, 6), int)}, "SFX-E163"),
        ({"weight_rec": np.full((7, 7), 0.5)}, "SFX-E163"),
        ({"weight": np.full((7, 12), 250), "neuron": files.neuron(0, 0, 60)}, "SFX-E164"),
        ({"neuron": files.neuron(1229, 410, (1 << 18) - 1)}, "SFX-E162"),
    ],
)
def test_what_a_recurrent_layer_may_not_be(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    first, second = NETS["recurrent"](np.random.default_rng(8))
    path = files.write(tmp_path / "a.net", [first, second | change], steps=60)
    with pytest.raises(SfxError, match=code):
        read(path)


def test_delays_that_fit_no_neurons_are_refused(tmp_path: Path) -> None:
    """A damaged file: the layer before has another size than its reader takes."""
    rng = np.random.default_rng(8)
    late = dense(rng, 5, 12, delay=rng.integers(1, 6, 12))
    path = files.write(tmp_path / "a.net", [dense(rng, 5, 9), late], steps=STEPS)
    with pytest.raises(SfxError, match="SFX-E165"):
        read(path)


def test_delays_of_synapses_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    layers = [dense(rng, 12, 9), dense(rng, 5, 12, delay=rng.integers(0, 6, (5, 12)))]
    with pytest.raises(SfxError, match=r"(?s)SFX-E162.*axonal"):
        read(files.write(tmp_path / "a.net", layers, steps=STEPS))
