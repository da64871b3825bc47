"""The committed Spikeformer, compiled: accuracy, pipelining, and Lava, on real recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.needs_torch, pytest.mark.slow]

from sfx.backends.base import align  # noqa: E402  (after importorskip)
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.data import Data, read  # noqa: E402
from sfx.toolchain.formats.bundle.bundle import Bundle  # noqa: E402

EXAMPLE = Path(__file__).parents[2] / "examples" / "spikeformer"
MODEL = EXAMPLE / "model.pt"
STREAMED = 3


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return api.compile(MODEL, "loihi")


@pytest.fixture(scope="module")
def test_split(tmp_path_factory: pytest.TempPathFactory) -> Data:
    path = tmp_path_factory.mktemp("digits") / "test.npz"
    subprocess.run(
        [sys.executable, str(EXAMPLE / "data.py"), str(path), "--split", "test"], check=True
    )
    return read(path)


def test_the_model_is_what_the_issue_asks_for() -> None:
    model = load(MODEL)
    assert isinstance(model, Spikeformer)
    config = model.config
    assert (config.attention, config.heads) == ("joint", 4)
    assert config.depth >= 2
    assert config.timesteps >= 8
    assert MODEL.stat().st_size < 2 << 20


def test_integers_keep_the_accuracy(bundle: Bundle, test_split: Data) -> None:
    assert test_split.samples == 360
    assert test_split.y is not None
    x = torch.from_numpy(test_split.x).float().transpose(0, 1)
    with torch.no_grad():
        logits = torch.cat([load(MODEL)(part) for part in x.split(60, dim=1)])
    real = float((logits.argmax(1).numpy() == test_split.y).mean())
    result = api.run(bundle, test_split)
    integer = float((result.predictions == test_split.y).mean())
    assert real >= 0.97
    assert abs(integer - real) <= 0.01
    assert all(events.any() for events in result.counts.events.values()), "a population is silent"


def test_pipelined_equals_layer_by_layer(bundle: Bundle, test_split: Data) -> None:
    program, x = bundle.program, test_split.x[:STREAMED].astype(np.int64)
    reference = ReferenceBackend()
    layers = reference.layers(program, x)
    plain = reference.stream(program, x, states=True)
    noisy = reference.stream(program, x, states=True, garbage=7)
    disturbed = 0
    for population in program:
        aligned = align(plain.spikes[population.name], population.phase, STREAMED, 8)
        assert aligned.any(), population.name
        assert np.array_equal(aligned, layers[population.name]), population.name
        again = align(noisy.spikes[population.name], population.phase, STREAMED, 8)
        assert np.array_equal(again, aligned), f"{population.name} after garbage"
        before = slice(0, population.phase)
        changed = noisy.spikes[population.name][before] != plain.spikes[population.name][before]
        disturbed += int(np.count_nonzero(changed))
    assert disturbed > 1000, "the garbage must really differ from what was there"


@pytest.mark.needs_lava
def test_lava_agrees_on_every_value(bundle: Bundle, test_split: Data) -> None:
    verdict = api.verify(bundle, test_split.x[:STREAMED], states=True)
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == ()
    program = bundle.program
    steps = STREAMED * program.timesteps + program.last_phase
    assert verdict.steps == steps
    assert verdict.compared > steps * sum(p.size for p in program)


def test_same_inputs_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    api.save(bundle, tmp_path / "a.sfx")
    api.save(api.compile(MODEL, "loihi"), tmp_path / "b.sfx")
    assert (tmp_path / "a.sfx").read_bytes() == (tmp_path / "b.sfx").read_bytes()
    api.save(api.load(tmp_path / "a.sfx"), tmp_path / "c.sfx")
    assert (tmp_path / "a.sfx").read_bytes() == (tmp_path / "c.sfx").read_bytes()
