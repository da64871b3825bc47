"""A state that leaves its measured range: the same bits and the same count on every backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.base import Backend
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.report.ranges import LABEL, left_lines
from sfx.toolchain.report.verified import verify_summary
from tests.neurons import net

STEPS, INPUTS = 30, 400
OPS = {
    "soft": g.LIF(0.02, 1.0, gain=50.0, subtract=True),
    "current": g.LIF(0.02, 1.0, gain=50.0, subtract=True, syn=0.5, w_in=2.0),
}


def program_of(op: g.LIF, *, recurrent: bool) -> p.Program:
    """Calibrated on next to nothing, so that louder samples leave every range."""
    graph = net(op, timesteps=STEPS, size=8, inputs=INPUTS, dyadic=False, recurrent=recurrent)
    heavy = replace(graph["fc"].op, weight=500 * graph["fc"].op.weight)  # type: ignore[attr-defined]
    graph = graph.with_nodes(replace(n, op=heavy) if n.name == "fc" else n for n in graph)
    program = BalanceDelays(62).run(quantize(lower(graph), events(0.003, 4)).program)
    check_program(program, balanced=True)
    assert any(q.measured is not None for q in program)
    return program


def events(rate: float, samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((samples, STEPS, INPUTS)) < rate).astype(np.int64)


def overflowing(program: p.Program) -> p.Program:
    """So much arrives at the membrane that its sums and products really wrap."""
    louder = tuple(
        replace(j, weight_exp=7) if j.pre == "cell.input" else j for j in program.projections
    )
    return replace(program, projections=louder)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("kind", OPS)
def test_bits_and_counts_are_equal_where_ranges_are_left(kind: str, recurrent: bool) -> None:
    program = program_of(OPS[kind], recurrent=recurrent)
    x = events(0.5, 3, seed=1)
    reference = ReferenceBackend()
    expected = reference.run(program, x)
    assert sum(expected.left.values()) > 100
    for backend in witnesses():
        got = backend.run(program, x)
        np.testing.assert_array_equal(got.sums, expected.sums)
        assert got.left == expected.left
        assert all(
            np.array_equal(got.counts.events[q.name], expected.counts.events[q.name])
            for q in program
        )
    quiet = reference.run(program, events(0.001, 3, seed=2))
    assert set(quiet.left.values()) == {0}
    assert set(quiet.left) == {q.name for q in program if q.measured is not None}


def witnesses() -> list[Backend]:
    found: list[Backend] = [FastBackend(), FastBackend(memory=1)]
    pytest.importorskip("onnxruntime")
    from sfx.backends.onnx.backend import OnnxBackend

    return [*found, OnnxBackend()]


@pytest.mark.parametrize("kind", OPS)
def test_registers_that_wrap_wrap_alike(kind: str) -> None:
    program = overflowing(program_of(OPS[kind], recurrent=True))
    x = events(0.9, 3, seed=1)
    sent = ReferenceBackend().layers(program, x)
    states = [q for q in program if q.name in ("cell.membrane", "cell.leak")]
    reached = [np.abs(sent[q.name]).max() / 2 ** (31 - q.neuron.exp) for q in states]
    assert max(reached) > 0.9  # all of 32 bits
    layers = FastBackend().layers(program, x)
    assert all(np.array_equal(layers[n], s) for n, s in sent.items())
    expected = ReferenceBackend().run(program, x)
    for backend in witnesses():
        got = backend.run(program, x)
        np.testing.assert_array_equal(got.sums, expected.sums)
        assert got.left == expected.left


def test_verify_counts_on_both_sides_and_says_it_loudly() -> None:
    program = program_of(OPS["soft"], recurrent=True)
    pytest.importorskip("onnxruntime")
    verdict = api.verify(program, events(0.5, 2, seed=1), against="onnx")
    assert verdict.equal
    assert sum(verdict.left.values()) > 50
    assert verdict.left == verdict.left_witness
    told = verdict.as_dict()
    assert told["left_range"] == told["left_range_witness"] == verdict.left
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as shown:
        console.print(verify_summary(verdict))
    assert LABEL in shown.get()
    assert f"{sum(verdict.left.values()):,} values" in shown.get()
    quiet = api.verify(program, events(0.001, 2, seed=2), against="onnx")
    assert set(quiet.left.values()) == {0}
    with console.capture() as shown:
        console.print(verify_summary(quiet))
    assert "nothing left its range" in shown.get()
    assert LABEL not in shown.get()


def test_layerwise_counts_too() -> None:
    program = program_of(OPS["soft"], recurrent=False)
    x = events(0.5, 2, seed=1)
    full = api.verify(program, x, against="reference")
    pieces = api.verify(program, x, against="reference", mode="layerwise")
    assert pieces.left == full.left == pieces.left_witness
    assert sum(full.left.values()) > 50


@pytest.mark.needs_lava
@pytest.mark.parametrize("kind", OPS)
def test_lava_gives_the_same_bits_beyond_the_range(kind: str) -> None:
    for program in (
        program_of(OPS[kind], recurrent=True),
        overflowing(program_of(OPS[kind], recurrent=True)),
    ):
        verdict = api.verify(program, events(0.7, 2, seed=1), against="lava", states=True)
        assert verdict.equal, verdict.first_mismatch
        assert sum(verdict.left.values()) > 50
        assert verdict.left == verdict.left_witness


def test_without_measured_ranges_nothing_is_said() -> None:
    assert left_lines({}) == []
    assert left_lines({"a": 0}) == ["1 measured ranges, nothing left its range"]
    assert left_lines({"a": 3, "b": 0})[0].startswith(f"{LABEL}: 3 values (a 3)")
