"""Weights of few bits into neurons of several populations: fitted to data, row by row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.fit.mantissa import Grid
from sfx.toolchain.compiler.quantize.fit.terms import weight_terms
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import Quantized, quantize
from sfx.toolchain.compiler.quantize.state.mantissas import WeightBits
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.program import Dense

STEPS, INPUTS, HIDDEN = 12, 48, 24


def events(samples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.05, 0.6, (samples, 1, INPUTS))
    return (rng.random((samples, STEPS, INPUTS)) < rates).astype(np.int64)


@cache
def net(loop: bool) -> g.Graph:
    """A layer with a reset by subtraction, or one that feeds back; rows of different sizes."""
    rng = np.random.default_rng(7)
    first = rng.normal(0.05, 0.3, (HIDDEN, INPUTS)) * 2.0 ** rng.uniform(-2, 0, (HIDDEN, 1))
    own = rng.normal(0, 0.2, (HIDDEN, HIDDEN))
    lif = g.LIF(0.1, 1.0, 10.0, subtract=not loop)
    nodes = [
        g.Node("input", g.Input(), (), (INPUTS,)),
        g.Node("fc", g.Linear(first, np.zeros(HIDDEN)), (("input",),), (HIDDEN,)),
        g.Node("lif", lif, (("fc", "back") if loop else ("fc",),), (HIDDEN,)),
        g.Node("output", g.Output("sum"), (("lif",),), (HIDDEN,)),
    ]
    if loop:
        nodes.append(g.Node("back", g.Linear(own, np.zeros(HIDDEN)), (("lif",),), (HIDDEN,)))
    return lower(g.Graph(g.topological(tuple(nodes)), STEPS))


@cache
def made(loop: bool, bits: int, effort: float) -> Quantized:
    return quantize(net(loop), events(64, 1), options=Options(bits=bits, effort=effort))


def wrong(loop: bool, bits: int, effort: float) -> float:
    """Wrong spikes for each right one, on samples that nothing was fitted to."""
    x = events(100, 2)
    truth = run(net(loop), x)["lif"]
    program = BalanceDelays(62).run(made(loop, bits, effort).program)
    mine = ReferenceBackend().layers(program, x)["lif"]
    assert truth.sum() > 1000
    return float(np.count_nonzero(mine != truth)) / float(truth.sum())


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("bits", [2, 3])
def test_fitted_weights_make_fewer_wrong_spikes(loop: bool, bits: int) -> None:
    assert wrong(loop, bits, 1.0) < 0.8 * wrong(loop, bits, 0.0)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("bits", [2, 4])
def test_the_weights_have_their_bits(loop: bool, bits: int) -> None:
    q = made(loop, bits, 1.0)
    check_program(BalanceDelays(62).run(q.program), balanced=True)
    weights = [
        j.connection.weight
        for j in q.program.projections
        if isinstance(j.connection, Dense) and j.connection.weight.shape[1] > 1
    ]
    assert len(weights) > (2 if loop else 1), "rows share one exponent"
    for w in weights:
        assert len(np.unique(w)) <= 1 << bits
        assert np.array_equal(LOIHI.effective_weights(w, bits), w)
    (record,) = [r for r in q.records if r.population == "lif"]
    assert record.weight_bits == bits
    assert 0.02 < record.weight_error < 1, "what rounding really loses"


def test_rows_are_exact_and_terms_few() -> None:
    grid, bits = Grid.of(True, WeightBits(3, 8)), WeightBits(3, 8)
    rng = np.random.default_rng(0)
    rows = grid.step * rng.integers(-4, 4, (6, 9)).astype(np.float64)
    rows[0] = 0
    rounded = rows * 2.0 ** np.array([0, 1, 1, 3, 3, 0])[:, None]
    terms = weight_terms(rounded + 0.1, 1.0, LOIHI, bits, rounded=rounded)
    assert terms is not None
    assert len(terms) <= 3
    assert np.array_equal(sum(t.value for t in terms), rounded)
    assert weight_terms(rounded + 0.1, 1.0, LOIHI, bits, rounded=rounded + 0.1) is None
