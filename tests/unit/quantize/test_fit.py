"""Fitting to data: few bits, compensated rounding, the rounding search, the naive baseline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.fit.compensate import Rounder
from sfx.toolchain.compiler.quantize.fit.flips import flip
from sfx.toolchain.compiler.quantize.fit.lanes import draw
from sfx.toolchain.compiler.quantize.fit.mantissa import Grid, WeightBits
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import Quantized, quantize
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.program import Conv2d, Dense
from sfx.toolchain.ir.wires import Wire, target_size
from tests.graphs import live_case, with_op


def quantized(options: Options) -> tuple[g.Graph, np.ndarray, Quantized]:
    graph, x = live_case(False, True, 1)
    low = lower(graph)
    return low, x, quantize(low, x, options=options)


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_every_weight_has_its_bits_and_the_program_is_legal(bits: int) -> None:
    _, _, q = quantized(Options(bits=bits))
    check_program(BalanceDelays(62).run(q.program), balanced=True)
    rounded = {r.population for r in q.records if not r.exact}
    for j in q.program.projections:
        if j.post in rounded and isinstance(j.connection, Dense | Conv2d):
            w = j.connection.weights
            assert np.array_equal(LOIHI.effective_weights(w, bits), w), j.name
    assert all(r.weight_bits == bits for r in q.records)


def test_counts_bound_the_input() -> None:
    graph, x = live_case(False, True, 1)
    low, many = lower(graph, 255), np.minimum(3 * x, 5)
    highs = [quantize(low, many, options=Options(counts=n)).program.input.high for n in (5, 7, 200)]
    assert highs == [7, 7, 255]
    bounded = BalanceDelays(62).run(quantize(low, many, options=Options(counts=5)).program)
    check_program(bounded, balanced=True)
    assert ReferenceBackend().run(bounded, many).counts.events[bounded.input.name].any()
    with pytest.raises(InputError, match="SFX-E329"):
        quantize(low, many, options=Options(counts=1))
    with pytest.raises(InputError, match="SFX-E329"):
        Options(counts=256)
    with pytest.raises(InputError, match="reach 3 events a step, more than 1"):
        quantize(lower(graph), many)


def test_the_record_is_what_the_reference_does() -> None:
    graph, x, q = quantized(Options(bits=4))
    truth = run(graph, x)
    mine = ReferenceBackend().layers(BalanceDelays(62).run(q.program), x)
    for r in q.records[:-1]:
        assert truth[r.population].any(), "silent: nothing is compared"
        share = np.mean(truth[r.population] == mine[r.population])
        assert r.cumulative == pytest.approx(share), r.population
        assert r.saturations == 0
        assert r.wraps == 0
    assert any("flips" in r.search for r in q.records)


def test_searching_beats_scaling_beats_naive() -> None:
    """Each step is judged on the population's own target, so it helps or is not taken."""

    def first(options: Options) -> float:
        wrong = quantized(options)[2].records[0].wrong_spikes
        assert wrong is not None
        return wrong

    naive, scaled = first(Options("naive", 3)), first(Options(bits=3, effort=0))
    assert first(Options(bits=3)) < scaled <= naive


def test_layers_get_bits_of_their_own() -> None:
    _, _, q = quantized(Options(layers={"ct.lif": 3, "output": 2}))
    bits = {r.population: r.weight_bits for r in q.records}
    assert bits.pop("ct.lif") == 3
    assert bits.pop("output") == 2
    assert set(bits.values()) == {8}
    memory = {r.population: r.memory_bits for r in q.records}
    full = {r.population: r.memory_bits for r in quantized(Options())[2].records}
    assert memory["ct.lif"] < full["ct.lif"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Options(bits=1), "SFX-E325"),
        (lambda: Options(layers={"a": 9}), "SFX-E325"),
        (lambda: Options("best"), "SFX-E324"),
        (lambda: quantized(Options(layers={"nobody": 4})), "SFX-E326"),
    ],
)
def test_impossible_options_are_refused(make: object, code: str) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert caught.value.code == code


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_a_soft_reset_stores_the_bits_that_are_asked(bits: int) -> None:
    graph, x = live_case(False, True, 1)
    soft = lower(with_op(graph, "ct.lif", subtract=True))
    for options in (Options(bits=bits), Options(layers={"ct.lif": bits})):
        found = quantize(soft, x, options=options)
        said = {r.population: r.weight_bits for r in found.records}
        assert said["ct.lif"] == bits
        into = [
            j
            for j in found.program.projections
            if j.post.startswith("ct.lif") and j.pre == "input" and j.connection.weights.size > 1
        ]
        rows = [j.connection.weights.reshape(len(j.connection.weights), -1) for j in into]
        assert len(rows) <= 3
        assert np.all(sum(np.any(w, axis=1).astype(int) for w in rows) <= 1), "one term for a row"
        mantissas = np.unique(np.abs(np.concatenate(rows)))
        assert np.all(mantissas % (1 << (9 - bits)) == 0)
        assert len(mantissas) > 1
    full = {r.population: r.weight_bits for r in quantize(soft, x).records}
    assert full["ct.lif"] in (8, *range(9, 17))


@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.integers(1, 2), st.integers(0, 2))
@settings(max_examples=25)
def test_lanes_hold_what_the_convolution_reads(
    seed: int, groups: int, stride: int, padding: int
) -> None:
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(4, 4 // groups, 3, 2))
    op = g.Conv2d(kernel, np.zeros(4), (stride, 1), (padding, padding), (1, 1), groups)
    x = rng.integers(0, 3, (2, 3, 4 * 5 * 4))
    node = g.Node("c", op, (("in",),), (4, (5 + 2 * padding - 3) // stride + 1, 3 + 2 * padding))
    graph = g.Graph((g.Node("in", g.Input(), (), (4, 5, 4)), node), 3)
    y = run(graph, x.reshape(2, 3, 4, 5, 4), keep=["c"])["c"].reshape(2, 3, -1)
    wire = Wire("in", 0, 1.0, np.zeros(target_size(node)), op, (4, 5, 4), node.shape)
    lanes = draw(wire, x, 7)
    weight = kernel.reshape(groups, 4 // groups, -1)
    out = np.einsum("gof,gflt->golt", weight, lanes.x).reshape(4, *lanes.x.shape[2:])
    assert np.allclose(out, lanes.of(y))
    assert np.array_equal(lanes.channel, np.repeat(np.arange(4), y.shape[-1] // 4))


def test_compensated_rounding_leaves_a_smaller_error_of_the_sums() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12))  # correlated inputs
    w = rng.normal(size=(6, 12))
    grid, unit = Grid.of(True, WeightBits(3, 8)), np.full(6, 60.0)
    mine = Rounder.of(w, x).round(unit, grid)
    nearest = grid.round(w * 60)

    def error(q: np.ndarray) -> float:
        return float(((x @ (q / 60 - w).T) ** 2).sum())

    assert error(mine.q) < 0.7 * error(nearest)
    assert np.array_equal(mine.q % grid.step, np.zeros_like(mine.q))


def spikes(current: np.ndarray, keep: float, threshold: float) -> np.ndarray:
    v, out = np.zeros(current.shape[:-1]), np.zeros(current.shape, np.uint8)
    for t in range(current.shape[-1]):
        v = v * keep + current[..., t]
        out[..., t] = v > threshold
        v[out[..., t] > 0] = 0
    return out


def test_the_search_finds_what_it_counts() -> None:
    """From weights rounded badly: fewer wrong spikes, and the count is that of a plain loop."""
    rng = np.random.default_rng(3)
    x = (rng.random((6, 80, 5)) < 0.4).astype(np.int32)
    real = rng.normal(size=(3, 6))
    target = spikes(np.einsum("of,flt->olt", real, x), 0.5, 1.0)
    assert target.any(axis=(1, 2)).all()
    step, unit = 64, np.full(3, 1 / 64)
    q = np.clip(step * np.rint(real), -192, 192).astype(np.int64)

    def current(q: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return np.einsum("of,flt->olt", q / 64, x) + shift[:, None, None]

    before = current(q, np.zeros(3))
    worth = np.where(rng.random(target.shape) < 0.5, 1, 2)  # what a wrong step counts
    goal = np.where(target > 0, worth, -worth)
    found = flip(x, goal, before, q, q != q[0, 0], unit, (-192, 192, step), 0.5, 1.0, 3)
    after = current(found.q, found.shift)
    wrong = [(worth * (spikes(c, 0.5, 1.0) != target)).sum(axis=(1, 2)) for c in (before, after)]
    assert found.changes > 0
    assert np.array_equal(found.q[q == q[0, 0]], q[q == q[0, 0]]), "no synapse, no change"
    assert np.array_equal(found.wrong, wrong[1])
    assert wrong[1].sum() < wrong[0].sum()
    assert np.array_equal(found.q % step, np.zeros_like(found.q))


@given(st.integers(2, 8), st.integers(0, 1000))
def test_mantissa_bits_are_the_fewest_that_hold(bits: int, seed: int) -> None:
    grid = Grid.of(True, WeightBits(bits, 8))
    w = grid.round(np.random.default_rng(seed).normal(size=20) * 200).astype(np.int64)
    found = LOIHI.mantissa_bits(w)
    assert found <= bits
    assert np.array_equal(LOIHI.effective_weights(w, found), w)
    assert found == 1 or not np.array_equal(LOIHI.effective_weights(w, found - 1), w)
