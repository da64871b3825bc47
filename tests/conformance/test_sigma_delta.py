"""Sigma-delta networks: Delta by hand, and random networks on every backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.program import (
    Conv2d,
    Delta,
    Dense,
    Population,
    Program,
    Projection,
    Readout,
    Sigma,
    SigmaDelta,
)

MOST = (1 << 23) - 1


def encoder(n: Delta, steps: int) -> Program:
    """One Delta that is read out through a Sigma."""
    sent = n.sends({})
    source = Population("in", (1,), n, int(sent.low[0]), int(sent.high[0]), 0)
    sums = Population("sums", (1,), Sigma(), -MOST, MOST, 0)
    joint = Projection("in->sums", "in", "sums", Dense(np.array([[2]])), "a_in", -1, 1, 1)
    return Program((source, sums), (joint,), steps, Readout("sums", 1.0, (0,)))


@pytest.mark.parametrize(
    ("n", "expected"),
    [  # of 0, 10, 10, 19, 19, 20: 19 - 10 is below 10 and is kept; not strict
        (Delta(5, 0, vth=10, spike_exp=0, state_exp=0), [0, 10, 0, 0, 0, 10]),
        (Delta(5, 0, vth=9, spike_exp=0, state_exp=0), [0, 10, 0, 9, 0, 0]),
        # 10 << 3, shifted down by 2 when it is sent
        (Delta(5, 0, vth=10, spike_exp=1, state_exp=2), [0, 20, 0, 0, 0, 20]),
    ],
)
def test_delta_by_hand(n: Delta, expected: list[int]) -> None:
    program = encoder(n, 6)
    check_program(program, balanced=True)
    x = np.array([0, 10, 10, 19, 19, 20]).reshape(1, 6, 1)
    sent = ReferenceBackend().stream(program, x).spikes
    assert sent["in"].ravel().tolist() == expected
    assert sent["sums"].ravel().tolist() == [0, *np.cumsum(expected)[:-1].tolist()]


def net(seed: int, steps: int) -> Program:
    """Delta -> conv -> dense -> Sigma with drawn weights, biases, thresholds and exponents."""
    rng = np.random.default_rng(seed)
    e, s = (int(v) for v in rng.integers(0, 7, 2))
    first = Delta(6, 1, vth=int(rng.integers(0, 9)), spike_exp=e, state_exp=s)
    conv = Conv2d(
        2 * rng.integers(-20, 21, (4, 2, 3, 3)), (2, 6, 5), (4, 3, 5), (2, 1), (1, 1), (1, 1), 1
    )
    bias = rng.integers(-9, 10, (4, 1, 1))
    sent = first.sends({})
    populations = (
        Population("in", (2, 6, 5), first, int(sent.low[0]), int(sent.high[0])),
        Population(
            "conv", (4, 3, 5), SigmaDelta(int(rng.integers(0, 9)), bias, e, s, 1),
            -(1 << 21), 1 << 21,
        ),
        Population(
            "dense", (7,), SigmaDelta(int(rng.integers(0, 9)), rng.integers(-9, 10, 7), e, s, 0),
            -(1 << 21), 1 << 21,
        ),
        Population("out", (3,), Sigma(), -MOST, MOST),
    )  # fmt: skip
    made = (
        conv,
        Dense(2 * rng.integers(-9, 10, (7, 60))),
        Dense(2 * rng.integers(-30, 31, (3, 7))),
    )
    joints = tuple(
        Projection(f"{a.name}->{b.name}", a.name, b.name, c, "a_in", (0, -3, -6)[i], 1)
        for i, (a, b, c) in enumerate(zip(populations[:-1], populations[1:], made, strict=True))
    )
    program = Program(populations, joints, steps, Readout("out", 1.0, (0,) * 3))
    return BalanceDelays(max_delay=8).run(program)


def events(program: Program, samples: int, seed: int) -> np.ndarray:
    """Values of either sign that move by little, [K, T, *input shape]."""
    rng = np.random.default_rng(seed)
    shape = (samples, program.timesteps, *program.input.shape)
    start = rng.integers(-40, 41, (samples, 1, *program.input.shape))
    return np.clip(start + rng.integers(-6, 7, shape), -63, 63)


@pytest.mark.parametrize("seed", range(20))
def test_fast_and_onnx_send_what_the_reference_sends(seed: int) -> None:
    """Samples are run by themselves: in a stream each is as it is alone."""
    program = net(seed, 9)
    check_program(program, balanced=True)
    x = events(program, 3, seed)
    expected = ReferenceBackend().stream(program, x)
    alone = ReferenceBackend().stream(program, x[2:])
    for p in program:
        assert expected.spikes[p.name][18:].tolist() == alone.spikes[p.name].tolist()
        assert expected.spikes[p.name].any(), f"{p.name} is silent"
    by_layer = ReferenceBackend().layers(program, x)
    for p in program:
        assert by_layer[p.name].reshape(27, *p.shape).tolist() == expected.spikes[p.name].tolist()
    run, fast = ReferenceBackend().run(program, x), FastBackend().run(program, x)
    assert fast.sums.tolist() == run.sums.tolist()
    for counts in ("events", "active"):
        a, b = getattr(fast.counts, counts), getattr(run.counts, counts)
        assert all(np.array_equal(a[p.name], b[p.name]) for p in program if p.name in b)
    pytest.importorskip("onnxruntime")
    from sfx.backends.onnx.backend import OnnxBackend

    got = OnnxBackend().stream(program, x)
    assert all(np.array_equal(got.spikes[p.name], expected.spikes[p.name]) for p in program)


@pytest.mark.needs_lava
@pytest.mark.slow
def test_lava_sends_what_the_reference_sends() -> None:
    from sfx.backends.lava.backend import LavaBackend

    compared = 0
    for seed in range(3):
        program = net(seed, 9)
        x = events(program, 2, seed)
        expected, got = (b.stream(program, x) for b in (ReferenceBackend(), LavaBackend()))
        for p in program:
            assert np.array_equal(got.spikes[p.name], expected.spikes[p.name])
            compared += expected.spikes[p.name].size
    assert compared == 3 * 18 * (60 + 60 + 7 + 3)


def test_what_leaves_its_declared_range_is_counted_alike() -> None:
    """The bits stay equal, whatever is declared: it only says what is counted."""
    program = net(1, 9)
    x = events(program, 2, 1)
    sent = ReferenceBackend().run(program, x)
    assert sent.left == {"conv": 0, "dense": 0, "out": 0}
    narrow = replace(
        program,
        populations=tuple(replace(p, low=-9, high=9) if p.name == "dense" else p for p in program),
    )
    check_program(narrow, balanced=True)
    values = ReferenceBackend().stream(program, x).spikes["dense"]
    outside = int(np.count_nonzero(np.abs(values) > 9))
    assert outside > 20
    for backend in (ReferenceBackend(), FastBackend()):
        found = backend.run(narrow, x)
        assert found.left == {"conv": 0, "dense": outside, "out": 0}
        assert found.sums.tolist() == sent.sums.tolist()


def test_a_phase_would_let_neurons_start_too_early() -> None:
    program = net(0, 9)
    late = replace(program, projections=tuple(replace(j, lag=0) for j in program.projections))
    with pytest.raises(SfxError, match="SFX-E350"):
        check_program(BalanceDelays(max_delay=8).run(late), balanced=True)


@pytest.mark.parametrize("value", [-1, 8, 40, 10**30])
@pytest.mark.parametrize("name", ["in", "conv"])
@pytest.mark.parametrize("field", ["spike_exp", "state_exp"])
def test_exponents_that_no_register_holds_are_refused(name: str, field: str, value: int) -> None:
    """Also those by which nothing can be shifted: a damaged bundle holds any number."""
    program = net(0, 9)
    changed = tuple(
        replace(p, neuron=replace(p.neuron, **{field: value})) if p.name == name else p
        for p in program
    )
    with pytest.raises(SfxError, match=rf"SFX-E342 {name}.*{field} is {value}"):
        check_program(replace(program, populations=changed), balanced=True)
