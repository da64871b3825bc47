"""Targets of any widths: the backends agree where states reach their limits, and one that does not
take the Program's own widths is noticed.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfx.backends.base import Stream
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.arithmetic import LOIHI, MOST_BIAS, RANGES, Arithmetic
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from tests.strategies import random_events, random_program

SLOW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def drawn(rng: np.random.Generator) -> Arithmetic:
    """Widths a target may say; exponents and payloads leave the generator's numbers space."""
    pick = {n: int(rng.integers(low, high, endpoint=True)) for n, (low, high) in RANGES.items()
            if not n.endswith("_exp")}  # fmt: skip
    pick["payload_bits"] = max(pick["payload_bits"], 14)
    most = min(MOST_BIAS + 1 - pick["bias_bits"], RANGES["bias_exp"][1])
    return Arithmetic(weight_exp=(-8, 7), bias_exp=(0, most), **pick)


def strained(program: p.Program, rng: np.random.Generator) -> p.Program:
    """Thresholds that are rarely reached and biases that add up, so that v saturates; inputs of
    some LIFs so large that u wraps (which no legal Program does, but every backend defines).
    """
    widths = program.arithmetic
    pops, wild = [], set()
    for q in program:
        n = q.neuron
        if isinstance(n, p.LIF) and n.reset:
            vth = int(min(widths.threshold_limit - 1, widths.input_limit))
            mant = rng.integers(*widths.bias_range, q.shape, endpoint=True)
            n = replace(n, vth=vth, bias_mant=mant, bias_exp=widths.bias_exp[1], dv=0)
            if rng.random() < 0.5:
                wild.add(q.name)
        pops.append(replace(q, neuron=n))
    projections = tuple(
        replace(j, weight_exp=min(j.weight_exp + 4, 7)) if j.post in wild else j
        for j in program.projections
    )
    return replace(program, populations=tuple(pops), projections=projections)


def differences(program: p.Program, a: Stream, b: Stream) -> list[str]:
    """Populations whose spikes, u or v differ at any step."""
    found = [q.name for q in program if not np.array_equal(a.spikes[q.name], b.spikes[q.name])]
    states = ((a.u, b.u), (a.v, b.v))
    return found + [n for x, y in states for n in x if not np.array_equal(x[n], y[n])]


def counts_equal(program: p.Program, x: np.ndarray) -> None:
    """Sums, events and active neurons of the reference and of fast, all lanes."""
    ours, theirs = ReferenceBackend().run(program, x), FastBackend().run(program, x)
    assert np.array_equal(ours.sums, theirs.sums)
    for q in program:
        assert np.array_equal(ours.counts.events[q.name], theirs.counts.events[q.name]), q.name
        assert np.array_equal(ours.counts.active[q.name], theirs.counts.active[q.name]), q.name


def saturates(program: p.Program, record: Stream) -> bool:
    top = program.arithmetic.state_limit - 1
    return any(bool((np.abs(v) == top).any()) for v in record.v.values())


REACHED: list[bool] = []


@SLOW
@given(st.integers(0, 2**32 - 1))
def test_fast_is_the_reference_at_any_widths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = drawn(rng)
    program = random_program(seed, populations=4, max_neurons=16, widths=widths)
    check_program(program, balanced=True)
    x = random_events(program, 3, seed)
    counts_equal(program, x)
    hard = strained(program, rng)
    counts_equal(hard, x)
    record = ReferenceBackend().stream(hard, x, states=True)
    REACHED.append(saturates(hard, record))


def test_the_states_drawn_above_reached_their_limits() -> None:
    """Runs after the test before it, in the same process: it drew enough that means something."""
    if not REACHED:
        pytest.skip("the test before it did not run here")
    assert sum(REACHED) >= len(REACHED) // 4


@pytest.mark.parametrize("seed", range(4))
def test_onnx_is_the_reference_at_other_widths(seed: int) -> None:
    pytest.importorskip("onnxruntime")
    from sfx.backends.onnx.backend import OnnxBackend

    rng = np.random.default_rng(seed)
    program = random_program(seed, populations=3, max_neurons=12, widths=drawn(rng))
    for made in (program, strained(program, rng)):
        x = random_events(made, 2, seed)
        ours = ReferenceBackend().stream(made, x, states=True)
        theirs = OnnxBackend().stream(made, x, states=True)
        assert differences(made, ours, theirs) == []
        assert any(s.any() for s in ours.spikes.values())


def one_neuron(widths: Arithmetic, dv: int, vth: int) -> p.Program:
    """A neuron that receives 30 at every step, 1920 in v, and its spikes."""
    neuron = p.LIF(widths.full_decay, dv, vth)
    return p.Program(
        (
            p.Population("in", (2,), p.Input(), 0, 1, 0),
            p.Population("n", (1,), neuron, 0, 1, 1),
            p.Population("out", (1,), p.Graded(), 0, 1, 2),
        ),
        (
            p.Projection("in->n", "in", "n", p.Dense(np.array([[20, 10]])), delay=1),
            p.Projection("n->out", "n", "out", p.Dense(np.array([[1]])), delay=1),
        ),
        12,
        p.Readout("out", 1.0, (0,)),
        arithmetic=widths,
    )


NARROW = replace(LOIHI, state_bits=14, weight_bits=6, decay_bits=10)
EVENTS = np.ones((1, 12, 2), np.int64)
CASES = {
    # v stays at 8191, its largest value, and never passes 128 << 6; with 24 bits it does
    "state_bits": (0, 128, [0] * 12),
    # v keeps 3/4 and passes 100 << 6 at the seventh step; with decays of 12 bits it keeps 15/16
    "decay_bits": (256, 100, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
}


def others() -> list[Any]:
    """The backends that check the reference, as far as they are installed."""
    try:
        from sfx.backends.onnx.backend import OnnxBackend
    except ModuleNotFoundError:
        return [FastBackend()]
    return [FastBackend(), OnnxBackend()]


@pytest.mark.parametrize("width", CASES)
def test_a_backend_with_loihis_width_is_noticed(width: str) -> None:
    """The comparison is not blind: with 24 bits of state, or 12 of decay, spikes differ."""
    dv, vth, spikes = CASES[width]
    program = one_neuron(NARROW, dv, vth)
    check_program(program, balanced=True)
    ours = ReferenceBackend().run(program, EVENTS).counts.events["n"]
    assert ours.ravel().tolist() == spikes
    wrong = replace(program, arithmetic=replace(NARROW, **{width: getattr(LOIHI, width)}))
    for backend in others():
        right = backend.run(program, EVENTS).counts.events["n"]
        assert np.array_equal(right, ours), backend.name
        mutant = backend.run(wrong, EVENTS).counts.events["n"]
        assert not np.array_equal(mutant, ours), backend.name


def test_weights_beyond_the_synapse_are_cut_at_the_programs_width() -> None:
    """250 is a weight of 8 bits; a synapse of 6 holds 63 at most, in every backend."""
    program = one_neuron(NARROW, 0, 100)
    j = replace(program.projections[0], connection=p.Dense(np.array([[250, 10]])))
    wide = replace(program, projections=(j, program.projections[1]))
    record = ReferenceBackend().stream(wide, EVENTS, states=True)
    assert record.u["n"][2, 0] == (63 + 10) << 6
    ours = ReferenceBackend().run(wide, EVENTS).counts.events["n"]
    assert ours.any()
    for backend in others():
        assert np.array_equal(backend.run(wide, EVENTS).counts.events["n"], ours), backend.name


def test_every_width_is_drawn() -> None:
    assert {f.name for f in fields(Arithmetic)} == set(RANGES)
