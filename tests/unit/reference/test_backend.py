"""The backend as others call it: records, counts, read-out, progress, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.base import Backend, align
from sfx.backends.reference import backend as module
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir import program as p
from tests.strategies import random_events, random_program

REFERENCE = ReferenceBackend()


def chain() -> p.Program:
    """in (2) -> lif (2) -> out (1), T = 3; every number below follows by hand."""
    same = p.Structured((("a", 2),), (("a", 2),))
    populations = (
        p.Population("in", (2,), p.Input()),
        p.Population("lif", (2,), p.LIF(4095, 0, vth=1, bias_mant=np.array([0, 32]))),
        p.Population("out", (1,), p.Graded(), 0, 20),
    )
    projections = (
        p.Projection("in->lif", "in", "lif", same),
        p.Projection("lif->out", "lif", "out", p.Dense(np.array([[5, 6]]))),
        p.Projection("in->out", "in", "out", p.Dense(np.array([[1, 1]]))),
    )
    program = p.Program(populations, projections, 3, p.Readout("out", 1.0, (100,)))
    return BalanceDelays(62).run(program)


X = np.array([[[1, 0], [1, 0], [0, 1]], [[0, 1], [0, 1], [1, 0]]])
# Neuron 0 adds 64 per event, neuron 1 adds 64 per event and 32 per step; both fire above 64.
SPIKES = np.array([[[0, 0], [1, 0], [0, 1]], [[0, 1], [0, 1], [0, 0]]])
OUT = [[1, 6, 7], [7, 7, 1]]


def test_is_a_backend() -> None:
    backend: Backend = REFERENCE
    assert backend.name == "reference"


def test_stream_by_hand() -> None:
    program = chain()
    got = REFERENCE.stream(program, X, states=True)
    assert got.steps == 2 * 3 + 2
    assert np.array_equal(got.spikes["in"], [*X.reshape(6, 2), [0, 0], [0, 0]])
    assert np.array_equal(align(got.spikes["lif"], 1, 2, 3), SPIKES)
    assert align(got.spikes["out"], 2, 2, 3)[..., 0].tolist() == OUT
    # neuron 1: 32 by bias at h = 0, reset at h = 1, then 32, 64, 96 + 64 -> fires
    assert got.v["lif"][:4, 1].tolist() == [32, 32, 64, 0]
    assert set(got.u) == set(got.v) == {"lif"}
    assert got.u["lif"][:4, 0].tolist() == [0, 64, 64, 0]


def test_layers_by_hand() -> None:
    got = REFERENCE.layers(chain(), X)
    assert np.array_equal(got["lif"], SPIKES)
    assert got["out"][..., 0].tolist() == OUT


def test_run_by_hand() -> None:
    got = REFERENCE.run(chain(), X)
    assert got.backend == "reference"
    assert got.sums.tolist() == [[114], [115]]
    assert got.counts.samples == 2
    assert got.counts.events["lif"].tolist() == [[0, 1], [1, 1], [0, 1]]
    assert got.counts.events["out"].tolist() == [[2], [2], [2]]
    # neuron 0: input, or u left over in sample 0; neuron 1 has a bias
    assert got.counts.active["lif"].tolist() == [[1, 2], [1, 2], [2, 2]]
    assert got.counts.active["out"].tolist() == [[2], [2], [2]]
    assert not got.counts.active["in"].any()


def test_chunks_of_lanes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(3, populations=5)
    x = random_events(program, 7)
    whole = REFERENCE.run(program, x)
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    steps: list[tuple[int, int]] = []
    split = REFERENCE.run(program, x, progress=lambda done, total: steps.append((done, total)))
    total = 7 * (program.timesteps + program.last_phase)
    assert steps == [(i + 1, total) for i in range(total)]
    assert np.array_equal(whole.sums, split.sums)
    assert whole.sums.any()
    for name in whole.counts.events:
        assert np.array_equal(whole.counts.events[name], split.counts.events[name])
        assert np.array_equal(whole.counts.active[name], split.counts.active[name])


def test_stream_reports_progress() -> None:
    steps: list[tuple[int, int]] = []
    REFERENCE.stream(chain(), X, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i + 1, 8) for i in range(8)]


def test_the_program_and_the_data_are_left_alone() -> None:
    x = X.copy()
    record = REFERENCE.stream(chain(), x)
    record.spikes["in"][:] = 9
    assert np.array_equal(x, X)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.zeros((1, 3, 3), np.int64), "SFX-E510"),
        (np.zeros((3, 2), np.int64), "SFX-E510"),
        (np.zeros((0, 3, 2), np.int64), "SFX-E510"),
        (np.zeros((), np.int64), "SFX-E510"),
        (np.full((1, 3, 2), 2), "SFX-E511"),
        (np.full((1, 3, 2), -1), "SFX-E511"),
        (np.full((1, 3, 2), 0.5), "SFX-E511"),
        (np.full((1, 3, 2), np.nan), "SFX-E511"),
        (np.full((1, 3, 2), "x"), "SFX-E511"),
    ],
)
def test_wrong_events_are_refused(x: np.ndarray, code: str) -> None:
    for call in (REFERENCE.stream, REFERENCE.run, REFERENCE.layers):
        with pytest.raises(InputError) as error:
            call(chain(), x)
        assert error.value.code == code
        assert error.value.problems[0].where == "in"


def test_counts_up_to_the_payload_are_taken() -> None:
    program = chain()
    graded = replace(program["in"], neuron=p.Input(payload_bits=3), high=7)
    program = replace(program, populations=(graded, *program.populations[1:]))
    assert REFERENCE.layers(program, X * 7)["in"].max() == 7
    with pytest.raises(InputError, match=r"0\.\.7"):
        REFERENCE.layers(program, X * 8)


def test_unbalanced_programs_run_in_model_time_only() -> None:
    program = random_program(5, balance=False)
    x = random_events(program, 2)
    for call in (REFERENCE.stream, REFERENCE.run):
        with pytest.raises(SfxError) as error:
            call(program, x)
        assert error.value.code == "SFX-E512"
    balanced = BalanceDelays(62).run(program)
    mine, truth = REFERENCE.layers(program, x), REFERENCE.layers(balanced, x)
    assert all(np.array_equal(mine[name], truth[name]) for name in mine)
