"""Membranes that are sent, and read-outs that weigh steps or take the largest, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.bounds import port_bounds, sent_range
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import (
    LI,
    LIF,
    Dense,
    Graded,
    Input,
    Population,
    Program,
    Projection,
    Readout,
    Structured,
)

pytest.importorskip("torch")
STEPS = 9


def drawn(seed: int) -> tuple[Program, np.ndarray]:
    """in -> LIF with a bias -> LI with a bias -> Graded; biases drive both before their phases."""
    rng = np.random.default_rng(seed)
    n, h, o = (int(v) for v in rng.integers(2, 9, 3))
    bits = int(rng.integers(0, 3))
    source = Input(bits)
    decays = [-1, 0, 700, 2048, 4095]
    li = LI(
        int(rng.choice(decays)),
        int(rng.choice(decays[1:])),
        rng.integers(-4096, 4096, o),
        int(rng.integers(0, 8)),
    )
    lif = LIF(2047, 300, int(rng.integers(1, 60)), rng.integers(0, 64, h), 5)
    first = Dense(2 * rng.integers(-60, 100, (h, n)))
    second = Dense(2 * rng.integers(-127, 127, (o, h)))
    same = Structured((("a", o),), (("a", o),))
    kinds = [("in", n, source), ("lif", h, lif), ("li", o, li), ("out", o, Graded())]
    populations = [Population(k, (size,), p, 0, 1, i) for i, (k, size, p) in enumerate(kinds)]
    populations[0] = Population("in", (n,), source, source.low, source.high, 0)
    wires = [("in", "lif", first), ("lif", "li", second), ("li", "out", same)]
    projections = tuple(Projection(f"{a}->{b}", a, b, c, delay=1) for a, b, c in wires)
    offset = tuple(int(v) for v in rng.integers(-99, 99, o))
    read = [
        Readout("out", 1.0, offset),
        Readout("li", 3.0, offset, tuple(int(v) for v in rng.integers(-9, 9, STEPS))),
        Readout("out", 2.0, offset, largest=True),
    ][seed % 3]
    for i in (2, 3):
        program = Program(tuple(populations), projections, STEPS, read)
        p = populations[i]
        low, high = sent_range(program, p, port_bounds(program, p))
        populations[i] = Population(p.name, p.shape, p.neuron, low, high, i)
    program = Program(tuple(populations), projections, STEPS, read)
    check_program(program, balanced=True)
    return program, rng.integers(0, source.high + 1, (4, STEPS, n))


@pytest.mark.parametrize("seed", range(12))
def test_all_backends_send_and_count_the_same(seed: int) -> None:
    program, x = drawn(seed)
    want = ReferenceBackend().run(program, x)
    sent = ReferenceBackend().stream(program, x, states=True)
    assert np.array_equal(sent.v["li"], sent.spikes["li"])
    own = align(sent.spikes[program.readout.population], 3, 4, STEPS)
    if program.readout.population == "li":
        own = align(sent.spikes["li"], 2, 4, STEPS)
    assert np.array_equal(program.readout.sums(own), want.sums)
    for backend in (FastBackend(), FastBackend(1, "torch-cpu"), OnnxBackend()):
        got = backend.run(program, x)
        assert np.array_equal(got.sums, want.sums)
        for name in ("lif", "li", "out"):
            assert np.array_equal(got.counts.events[name], want.counts.events[name]), name
    layers = FastBackend().layers(program, x)
    assert np.array_equal(layers["li"], align(sent.spikes["li"], 2, 4, STEPS))
    quick = FastBackend().run(program, x)
    assert np.array_equal(quick.counts.active["li"], want.counts.active["li"])
    assert len(np.unique(own)) > STEPS


def test_a_membrane_in_a_loop_is_refused() -> None:
    program, _ = drawn(0)
    li = program["li"].size
    back = Projection(
        "li->lif", "li", "lif", Dense(np.zeros((program["lif"].size, li), int)), lag=1
    )
    looped = Program(program.populations, (*program.projections, back), STEPS, program.readout)
    with pytest.raises(SfxError, match="SFX-E353"):
        check_program(looped, balanced=False)


@pytest.mark.parametrize(
    ("weights", "largest"),
    [
        ((1,) * (STEPS - 1), False),
        ((1,) * STEPS, True),
        ((1 << 40,) * STEPS, False),
        ((0.5,) * STEPS, False),
    ],
)
def test_read_outs_without_a_meaning(weights: tuple[int, ...], largest: bool) -> None:
    program, _ = drawn(0)
    readout = Readout("out", 1.0, program.readout.offset, weights, largest)
    made = Program(program.populations, program.projections, STEPS, readout)
    with pytest.raises(SfxError, match=r"SFX-E33[23]"):
        check_program(made, balanced=True)
