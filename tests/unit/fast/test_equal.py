"""The fast backend gives the reference's bits: sums, events, active neurons, every spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfx.backends.base import Result
from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.kernels import (
    conv as conv_kernels,
)
from sfx.backends.fast.kernels import (
    neurons as neuron_kernels,
)
from sfx.backends.fast.kernels import (
    pair_sums as contract,
)
from sfx.backends.fast.kernels import (
    sums as kernels,
)
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.errors import BackendError, InputError, SfxError
from sfx.toolchain.ir import program as p
from sfx.toolchain.targets import load
from tests import graphs
from tests.strategies import programs, random_events, random_program

REFERENCE = ReferenceBackend()
SEEDS = 24


def differences(want: Result, got: Result) -> list[str]:
    """What is not equal, by name."""
    assert want.counts.samples == got.counts.samples
    found = [] if np.array_equal(want.sums, got.sums) else ["sums"]
    for kind in ("events", "active"):
        a, b = getattr(want.counts, kind), getattr(got.counts, kind)
        assert list(a) == list(b)
        found += [f"{kind} {n}" for n in a if not np.array_equal(a[n], b[n])]
    return found


def check(program: p.Program, x: np.ndarray, memory: int = 1 << 20) -> Result:
    """Both runs and both layer records are equal; a small memory makes several batches."""
    fast = FastBackend(memory)
    want, got = REFERENCE.run(program, x), fast.run(program, x)
    assert differences(want, got) == []
    spikes, fast_spikes = REFERENCE.layers(program, x), fast.layers(program, x)
    assert list(spikes) == list(fast_spikes)
    for name, s in spikes.items():
        assert np.array_equal(s, fast_spikes[name]), name
    return got


def drawn(seed: int) -> p.Program:
    return random_program(seed, populations=4 + seed % 8, max_delay=(1, 2, 62)[seed % 3])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_programs(seed: int) -> None:
    program = drawn(seed)
    got = check(program, random_events(program, 3, seed), memory=(1, 1 << 14, 1 << 28)[seed % 3])
    assert got.counts.events[program.input.name].any()


def test_the_random_programs_hold_every_kind() -> None:
    all_drawn = [drawn(seed) for seed in range(SEEDS)]
    neurons = {type(q.neuron) for program in all_drawn for q in program}
    assert neurons == {p.Input, p.Clock, p.LIF, p.Graded, p.GradedReLU, p.Product}
    projections = [j for program in all_drawn for j in program.projections]
    assert {type(j.connection) for j in projections} == {p.Dense, p.Sparse, p.Conv2d, p.Structured}
    assert {j.lag for j in projections} >= {0, 1}
    assert any(j.weight_exp < 0 for j in projections)
    assert any(j.weight_exp > 0 for j in projections)
    lifs = [q.neuron for r in all_drawn for q in r if isinstance(q.neuron, p.LIF)]
    assert {n.reset for n in lifs} == {True, False}
    assert any(n.bias_mant.any() for n in lifs)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(0, 99))
def test_drawn_programs(program: p.Program, seed: int) -> None:
    check(program, random_events(program, 2, seed))


NETWORKS: dict[str, Callable[[], tuple[object, np.ndarray]]] = {
    "causal": lambda: graphs.live_case(True, True, 1),
    "attention": lambda: graphs.live_case(True, False, 2),
    "real weights": lambda: graphs.live_case(False, True, 2),
    "membrane residual": lambda: _with_events(graphs.membrane_residual()),
    "pooled currents": lambda: _with_events(graphs.pooled_currents()),
}


def _with_events(graph: graphs.g.Graph) -> tuple[object, np.ndarray]:
    return graph, graphs.events(graph, 8, rate=0.4)


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks(name: str) -> None:
    graph, x = NETWORKS[name]()
    program = compile_graph(graph, load("loihi"), x).placed.program
    got = check(program, x.astype(np.int64))
    silent = [n for n, e in got.counts.events.items() if not e.any()]
    if name in ("causal", "attention", "real weights"):
        assert not silent


def wide_program() -> tuple[p.Program, np.ndarray]:
    """Sums beyond 32 bits, a kernel beyond 24 bits, a membrane that saturates."""
    same = p.Structured((("a", 4),), (("a", 4),))
    kernel = np.array([70001, -90007], dtype=np.int64)[:, None, None, None]
    high = 1 << 30
    pops = (
        p.Population("in", (1, 2, 2), p.Input(16), 0, (1 << 16) - 1),
        p.Population("conv", (2, 2, 2), p.Graded(), -(1 << 23), 1 << 23),
        p.Population("big", (4,), p.Graded(), -high * 2, high * 2 - 1),
        p.Population("lif", (4,), p.LIF(100, 50, vth=1 << 16), 0, 1),
        p.Population("out", (4,), p.Graded(), -1, 1 << 16),
    )
    dense = p.Dense(np.array([[255] * 8, [-256] * 8, [254, -254] * 4, [2] * 8]))
    projections = (
        p.Projection("a", "in", "conv", p.Conv2d(kernel, (1, 2, 2), (2, 2, 2)), weight_exp=3),
        p.Projection("b", "conv", "big", dense, weight_exp=5),
        p.Projection("c", "big", "lif", same),
        p.Projection("d", "lif", "out", same),
        p.Projection("e", "in", "out", same),
    )
    program = p.Program(pops, projections, 3, p.Readout("out", 1.0, (0,) * 4))
    x = np.random.default_rng(0).integers(0, 1 << 16, (5, 3, 1, 2, 2))
    return BalanceDelays(62).run(program), x


def test_sums_that_wrap() -> None:
    program, x = wide_program()
    got = check(program, x)
    assert got.counts.events["lif"].any()
    layers = REFERENCE.layers(program, x)
    exact = x.reshape(5, 3, 1, 4) * (np.array([70001, -90007])[:, None] << 3)
    assert not np.array_equal(layers["conv"].reshape(5, 3, 2, 4), exact), "nothing wrapped"


KERNELS = {
    "convolve": conv_kernels,
    "convolve_lif": conv_kernels,
    "convolve_channels": conv_kernels,
    "lif_narrow": neuron_kernels,
    "graded": neuron_kernels,
    "multiply": contract,
    "spread": kernels,
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_changed_kernel_is_caught(monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    graph, x = graphs.live_case(True, False, 2)
    program = compile_graph(graph, load("loihi"), x).placed.program
    want = REFERENCE.run(program, x)
    true, calls = getattr(KERNELS[kernel], kernel), []
    assert differences(want, FastBackend().run(program, x)) == []

    def wrong(*arguments: object) -> None:
        true(*arguments)
        calls.append(kernel)
        arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.ndim > 1]
        result = next((a for a in arrays if a.dtype == np.int8 and a.ndim == 3), arrays[-1])
        if kernel not in ("convolve_lif", "lif_narrow", "graded"):
            result = arrays[-1]  # sums
        result[:] = 1 - result if result.dtype == np.int8 else result + 5000

    monkeypatch.setattr(KERNELS[kernel], kernel, wrong)
    try:
        found = differences(want, FastBackend().run(program, x))
    except BackendError:
        found = ["out of range"]
    assert calls
    assert found


def test_a_value_outside_the_declared_range_is_refused() -> None:
    program, x = wide_program()
    pops = tuple(replace(q, high=1) if q.name == "conv" else q for q in program)
    with pytest.raises(BackendError, match="SFX-E541"):
        FastBackend().run(replace(program, populations=pops), x)


def test_refusals() -> None:
    program, x = wide_program()
    with pytest.raises(BackendError, match="SFX-E542"):
        FastBackend().stream(program, x)
    with pytest.raises(InputError, match="SFX-E510"):
        FastBackend().run(program, x[:, :1])
    unset = tuple(replace(j, delay=0) for j in program.projections)
    with pytest.raises(SfxError, match="SFX-E512"):
        FastBackend().run(replace(program, projections=unset), x)


def test_progress_counts_samples() -> None:
    program, x = wide_program()
    seen: list[tuple[int, int]] = []
    FastBackend(memory=1).run(program, x, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]
