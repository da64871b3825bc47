"""ONNX Runtime computes what the reference computes, and says where if one number differs."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sfx.backends.onnx import backend as onnx_backend
from sfx.backends.onnx import parts
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.onnx.export import export
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.errors import BackendError, InputError, MissingPartError, SfxError
from sfx.toolchain.ir import program as p
from tests import mutate
from tests.strategies import programs, random_events, random_program
from tests.unit.onnx.nets import NETS, SAMPLES, compiled, verdict


@pytest.mark.parametrize("net", NETS)
def test_compiled_networks_are_equal(net: str) -> None:
    placed, x = compiled(net)
    program = placed.program
    found = verdict(program, program, x)
    assert found.equal, found.first_mismatch
    assert found.silent == (), "every population fired, so no comparison is vacuous"
    steps = SAMPLES * program.timesteps + program.last_phase
    states = sum(q.size for q in program if isinstance(q.neuron, p.LIF))
    assert found.compared == steps * (sum(q.size for q in program) + 2 * states)


@given(programs(), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_random_programs_are_equal(program: p.Program, seed: int) -> None:
    found = verdict(program, program, random_events(program, 2, seed))
    assert found.equal, found.first_mismatch


def test_random_programs_hold_every_kind_and_fire() -> None:
    """Of the Programs that the test above draws from: what was compared, and that it was alive."""
    kinds: set[str] = set()
    fired = total = 0
    for seed in range(40):
        program = random_program(seed, populations=1 + seed % 8, max_delay=(1, 2, 62)[seed % 3])
        found = verdict(program, program, random_events(program, 2, seed))
        assert found.equal, found.first_mismatch
        total += len(program.populations)
        fired += len(program.populations) - len(found.silent)
        kinds |= {type(q.neuron).__name__ for q in program}
        kinds |= {type(j.connection).__name__ for j in program.projections}
        kinds |= {"view" for j in program.projections if j.pre_view or j.post_view}
        kinds |= {"delay" for j in program.projections if j.delay > 2}
        kinds |= {"exponent" for j in program.projections if j.weight_exp < 0}
    assert kinds >= {
        "Input", "Clock", "LIF", "Graded", "GradedReLU", "Product",
        "Dense", "Sparse", "Conv2d", "Structured", "view", "delay", "exponent",
    }  # fmt: skip
    assert fired > 0.8 * total


def flips(program: p.Program, x: np.ndarray) -> dict[str, tuple[p.Program, str]]:
    """Changed Programs, each with the population where the difference must show first."""
    spikes = ReferenceBackend().stream(program, x).spikes
    fc1 = next(j for j in program.projections if j.post == "blocks.0.fc1_lif")
    late = next(j for j in program.projections if j.delay > 1 and j.post == "blocks.0.add1")
    index = mutate.busiest_weight(program, fc1.name, spikes[fc1.pre])
    half = -(program["ct.lif"].neuron.vth // 2)  # type: ignore[attr-defined]
    return {
        "weight bit": (mutate.flip_weight_bit(program, fc1.name, index), fc1.post),
        "threshold": (mutate.change_threshold(program, "ct.lif", half), "ct.lif"),
        "delay": (mutate.change_delay(program, late.name, -1), late.post),
    }


@pytest.mark.parametrize("kind", ["weight bit", "threshold", "delay"])
def test_a_flip_is_caught_and_located(kind: str) -> None:
    placed, x = compiled("causal")
    mutated, population = flips(placed.program, x)[kind]
    truth = verdict(placed.program, mutated, x, onnx=False)
    found = verdict(placed.program, mutated, x)
    assert truth.first_mismatch is not None, "the flip must matter on these samples"
    assert truth.first_mismatch.population == population
    assert found.first_mismatch == truth.first_mismatch
    assert found.mismatches == truth.mismatches


@pytest.mark.parametrize("threads", [1, 2])
def test_run_equals_the_reference(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    placed, x = compiled("causal")
    program = placed.program
    per_sample = 8 * program.timesteps * sum(q.size for q in program)
    monkeypatch.setattr(onnx_backend, "CHUNK_BYTES", 2 * per_sample)  # 2 samples, then 1
    seen: list[tuple[int, int]] = []
    expected = ReferenceBackend().run(program, x)
    got = OnnxBackend(threads).run(program, x, progress=lambda a, b: seen.append((a, b)))
    assert np.array_equal(got.sums, expected.sums)
    assert np.array_equal(got.predictions, expected.predictions)
    assert got.counts.samples == SAMPLES
    for q in program:
        assert np.array_equal(got.counts.events[q.name], expected.counts.events[q.name])
    assert seen == [(2, 3), (3, 3)]


def test_a_stream_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    placed, x = compiled("causal")
    whole = verdict(placed.program, placed.program, x)
    monkeypatch.setattr(onnx_backend, "PART", 7)
    seen: list[tuple[int, int]] = []
    OnnxBackend().stream(placed.program, x, progress=lambda a, b: seen.append((a, b)))
    assert whole.equal
    assert verdict(placed.program, placed.program, x) == whole
    assert seen[0] == (7, whole.steps)
    assert seen[-1] == (whole.steps, whole.steps)


def test_without_states_there_are_none() -> None:
    program = random_program(1)
    record = OnnxBackend().stream(program, random_events(program, 1))
    assert set(record.spikes) == {q.name for q in program}
    assert not record.u
    assert not record.v


def test_what_it_refuses() -> None:
    program = random_program(1)
    with pytest.raises(InputError, match="SFX-E510"):
        OnnxBackend().stream(program, np.zeros((1, 2)))
    with pytest.raises(SfxError, match="SFX-E512"):
        export(random_program(1, balance=False))


def test_a_missing_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(1)
    monkeypatch.setattr(parts, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(MissingPartError, match=r"SFX-E530.*onnxruntime, not installed") as error:
        OnnxBackend().stream(program, random_events(program, 1))
    assert error.value.exit_status == 3


def test_a_model_that_the_runtime_refuses() -> None:
    program = random_program(1)
    model = export(program)
    model.opset_import[0].version = 9999
    with pytest.raises(BackendError, match="SFX-E532"):
        onnx_backend.execute(model, program, random_events(program, 1))
