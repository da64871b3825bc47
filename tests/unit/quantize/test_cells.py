"""Neurons of several populations: equal to the float model where integers can be, and provably."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import SfxError, UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.program import Program
from sfx.toolchain.ir.record import LayerRecord
from tests.neurons import CUBA, KINDS, LIF, events, net


def compiled(graph: g.Graph, x: np.ndarray) -> tuple[Program, LayerRecord]:
    """The balanced, checked Program and the record of the cell."""
    quantized = quantize(lower(graph), x)
    program = BalanceDelays(62).run(quantized.program)
    check_program(program, balanced=True)
    return program, next(r for r in quantized.records if r.population == "cell")


def windows(program: Program, spikes: dict[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
    """Model steps [K, T, ...] of what a stream of samples recorded."""
    length = samples * program.timesteps
    return {
        p.name: spikes[p.name][p.phase :][:length].reshape(samples, program.timesteps, *p.shape)
        for p in program
    }


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_lossless_where_integers_can_say_it(kind: str, recurrent: bool) -> None:
    graph = net(KINDS[kind], recurrent=recurrent, seed=3)
    x = events(graph, 6)
    program, record = compiled(graph, x)
    expected = run(graph, x)
    reference = ReferenceBackend()
    layers = reference.layers(program, x)
    silent = [n for n, s in layers.items() if not s.any()]
    assert not silent, f"silent populations: {silent}"
    assert record.exact
    for name in ("cell", "last"):
        np.testing.assert_array_equal(layers[name], expected[name])
    for garbage in (None, 5):  # back to back, whatever comes before the phase
        got = windows(program, reference.stream(program, x, garbage=garbage).spikes, len(x))
        for name in ("cell", "last"):
            np.testing.assert_array_equal(got[name], expected[name])
    fast = FastBackend().layers(program, x)
    assert all(np.array_equal(fast[n], s) for n, s in layers.items())
    if recurrent:
        sums = FastBackend().run(program, x).sums
        np.testing.assert_array_equal(sums, reference.run(program, x).sums)


@pytest.mark.parametrize("kind", ["reset", "subtract_start", "cuba", "cuba_subtract"])
def test_rounded_neurons_agree_between_backends_and_with_the_record(kind: str) -> None:
    graph = net(KINDS[kind], recurrent=True, dyadic=False, timesteps=6, seed=5)
    x = events(graph, 5)
    program, record = compiled(graph, x)
    layers = ReferenceBackend().layers(program, x)
    expected = run(graph, x)["cell"]
    assert record.cumulative == np.mean(layers["cell"] == expected)
    assert not record.exact
    assert record.cumulative is not None
    assert record.cumulative > 0.9
    sums = ReferenceBackend().run(program, x).sums
    for backend in (FastBackend(), OnnxBackend()):
        np.testing.assert_array_equal(backend.run(program, x).sums, sums)


def test_event_counts_and_one_step() -> None:
    for timesteps, high in ((1, 1), (3, 7)):
        graph = net(KINDS["cuba_reset"], recurrent=True, timesteps=timesteps, seed=3, high=high)
        x = events(graph, 8)
        program, record = compiled(graph, x)
        assert x.max() == high
        assert record.exact
        got = ReferenceBackend().layers(program, x)["cell"]
        np.testing.assert_array_equal(got, run(graph, x)["cell"])
        assert got.any()


quarters = st.integers(-8, 8).map(lambda n: n / 4)
halving = st.sampled_from([0.25, 0.5, 1.0])


@st.composite
def neurons(draw: st.DrawFn) -> g.LIF | g.IF:
    """Constants in quarters, decays that halve."""
    subtract = draw(st.booleans())
    common = {
        "threshold": draw(st.integers(0, 8)) / 4,
        "reset": 0.0 if subtract else draw(st.integers(-4, 0)) / 4,
        "start": draw(quarters),
        "subtract": subtract,
        "drop": draw(st.integers(0, 8)) / 4,
    }
    if draw(st.integers(0, 3)) == 0:
        return g.IF(**common)
    syn = draw(halving)
    return g.LIF(decay=draw(halving), gain=2.0, leak=draw(quarters), syn=syn, w_in=1.0, **common)


def by_hand(graph: g.Graph, x: np.ndarray) -> np.ndarray:
    """The cell's spikes in exact fractions, from the equations of the Graph's ops alone."""
    op, fc = graph["cell"].op, graph["fc"].op
    loop = graph["rec"].op if "rec" in graph else None
    assert isinstance(op, g.LIF | g.IF)

    def affine(layer: g.Op | None, row: int, values: list[int]) -> Fraction:
        if not isinstance(layer, g.Linear):
            return Fraction(0)
        total = sum(Fraction(w) * s for w, s in zip(layer.weight[row], values, strict=True))
        return Fraction(layer.bias[row]) + total

    size = graph["cell"].shape[0]
    out = np.zeros((*x.shape[:2], size), np.int64)
    for k, sample in enumerate(x):
        v, i = [Fraction(op.start)] * size, [Fraction(0)] * size
        spikes = [0] * size
        for t, step in enumerate(sample.tolist()):
            before, spikes = spikes, [0] * size
            for n in range(size):
                a = affine(fc, n, step) + affine(loop, n, before)
                if isinstance(op, g.LIF):
                    i[n] += Fraction(op.syn) * (Fraction(op.w_in) * a - i[n])
                    v[n] += Fraction(op.decay) * (
                        Fraction(op.leak) - v[n] + Fraction(op.gain) * i[n]
                    )
                else:
                    v[n] += Fraction(op.gain) * a
                if v[n] > Fraction(op.threshold):
                    drop = Fraction(op.drop or op.threshold)
                    v[n], spikes[n] = (v[n] - drop if op.subtract else Fraction(op.reset)), 1
            out[k, t] = spikes
    return out


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(neurons(), st.booleans(), st.integers(0, 1000))
def test_what_the_record_calls_exact_is(op: g.LIF | g.IF, recurrent: bool, seed: int) -> None:
    graph = net(op, recurrent=recurrent, seed=seed, size=3, inputs=3, timesteps=3)
    x = events(graph, 3, seed=seed)
    program, record = compiled(graph, x)
    got = ReferenceBackend().layers(program, x)["cell"]
    expected = by_hand(graph, x)
    np.testing.assert_array_equal(expected, run(graph, x)["cell"])
    event(f"exact: {record.exact}")
    if record.exact:
        np.testing.assert_array_equal(got, expected)


def test_without_the_tick_the_loop_is_refused_and_really_differs() -> None:
    graph = net(LIF, recurrent=True, seed=3)
    x = events(graph, 6)
    program, _ = compiled(graph, x)
    bare = replace(
        program,
        projections=tuple(j for j in program.projections if j.name != "clock->cell.feedback"),
    )
    with pytest.raises(SfxError) as error:
        check_program(bare, balanced=True)
    assert error.value.code == "SFX-E349"
    layers = ReferenceBackend().layers(bare, x)["cell"]
    assert not np.array_equal(layers, run(graph, x)["cell"])


def test_a_threshold_below_the_reset_is_refused() -> None:
    graph = net(replace(LIF, reset=2.0))
    with pytest.raises(UnsupportedError) as error:
        quantize(lower(graph))
    assert error.value.code == "SFX-E309"
    assert "1 is below the reset 2" in str(error.value)


def test_what_no_scale_holds_is_refused_with_the_numbers() -> None:
    for op in (CUBA, replace(CUBA, subtract=True)):
        graph = net(replace(op, threshold=1e-5), recurrent=True)
        heavy = replace(graph["fc"].op, weight=graph["fc"].op.weight * 1e5)  # type: ignore[attr-defined]
        graph = graph.with_nodes(replace(n, op=heavy) if n.name == "fc" else n for n in graph)
        with pytest.raises(UnsupportedError) as error:
            quantize(lower(graph))
        assert error.value.code == "SFX-E310"
        assert "threshold 1e-05" in str(error.value)
