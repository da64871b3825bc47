"""Convolutions with their neurons: bytes and words, groups of taps and of chunks, odd sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.layout import BYTES, WORDS
from sfx.backends.fast.plan.convolutions import PairConv
from sfx.backends.fast.plan.prepared import Prepared
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ir import program as p
from tests.unit.fast.test_equal import differences

CASES = {
    # inputs, outputs, kernel, side, highest input, largest weight, du, dv, words
    "bytes, taps gathered": (20, 70, 3, 5, 1, 100, 4095, 2048, False),
    "bytes, a tap at a time": (264, 17, 3, 3, 1, 60, 4095, 2048, False),
    "bytes, parts of a tap": (1040, 5, 1, 1, 1, 127, 4095, 1000, False),
    "counts, u decays": (48, 33, 1, 3, 9, 40, 1024, 300, False),
    "bytes whose sums are too large": (300, 16, 1, 1, 100, 127, 4095, 2048, True),
    "words, taps gathered": (3, 48, 3, 6, 255, 100, 4095, 0, True),
    "words, large weights": (70, 20, 3, 3, 1, 3000, 4095, 4095, True),
    "bytes, parts of each tap": (250, 17, 3, 3, 9, 100, 4095, 2048, False),
    "words, parts of each tap": (250, 20, 3, 3, 1, 3000, 4095, 4095, True),
}


def program_of(name: str) -> p.Program:
    inputs, outputs, kernel, side, high, largest, du, dv, _ = CASES[name]
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-largest, largest + 1, (outputs, inputs, kernel, kernel))
    shape = (outputs, side, side)
    bias = rng.integers(-9, 10, shape)
    vth = int(high * np.sqrt(0.1 * (weight**2).sum(axis=(1, 2, 3)).max()))
    lif = p.LIF(du, dv, min(vth, (1 << 17) - 1), bias, reset=du == 4095)
    populations = (
        p.Population("in", (inputs, side, side), p.Input(8), 0, high),
        p.Population("lif", shape, lif, 0, 1),
        p.Population("out", (outputs * side * side,), p.Graded(), 0, 1),
    )
    conv = p.Conv2d(weight, (inputs, side, side), shape, padding=(kernel // 2, kernel // 2))
    same = p.Structured((("n", outputs * side * side),), (("n", outputs * side * side),))
    projections = (p.Projection("a", "in", "lif", conv), p.Projection("b", "lif", "out", same))
    readout = p.Readout("out", 1.0, (0,) * (outputs * side * side))
    return BalanceDelays(62).run(p.Program(populations, projections, 3, readout))


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_reference(name: str) -> None:
    program = program_of(name)
    high, words = CASES[name][4], CASES[name][8]
    ready = Prepared(program)
    conv = ready.projections["a"].convolution
    assert isinstance(conv, PairConv)
    assert conv.packing is (WORDS if words else BYTES)
    assert "lif" in ready.fused
    rng = np.random.default_rng(1)
    x = rng.integers(0, high + 1, (3, 3, *program.input.shape))
    x[rng.random(x.shape) < 0.6] = 0
    x[0, :, :, 0] = 0
    want = ReferenceBackend().run(program, x)
    assert differences(want, FastBackend().run(program, x)) == []
    fired = want.counts.events["lif"].sum() / (len(x) * want.counts.events["lif"].size)
    assert 0.01 < fired < 0.99


def test_groups_hold_every_row_once_and_fit() -> None:
    for name in CASES:
        conv = Prepared(program_of(name)).projections["a"].convolution
        assert isinstance(conv, PairConv)
        pairs = conv.weight.shape[2]
        seen = np.zeros((conv.weight.shape[1], -(-pairs // 16)), int)
        for first, last, begin, end in conv.groups:
            seen[first:last, begin:end] += 1
            rows = conv.weight[:, first:last, 16 * begin : 16 * end].astype(np.int64)
            most = np.maximum(rows, 0).sum(axis=(1, 2, 4)).max() * CASES[name][4]
            assert most <= conv.packing.largest_sum
        assert (seen == 1).all()
