"""Calibration without single coincidences: the same integers, in the memory of their operands."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.quantize import quantize as module
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.compiler.quantize.state.values import (
    Coincidences,
    array,
    coincidences,
    over_steps,
    structured,
)
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.program import Structured
from tests.graphs import Builder, live_case

LENGTHS = {"i": 2, "j": 6, "k": 3, "l": 4}
LEAD = (2, 6)


def axes(labels: str) -> tuple[tuple[str, int], ...]:
    return tuple((label, LENGTHS[label]) for label in labels)


labels = st.permutations(sorted(LENGTHS)).flatmap(
    lambda order: st.integers(1, len(order)).map(lambda n: "".join(order[:n]))
)


def by_matrix(c: Structured, x: np.ndarray) -> np.ndarray:
    return np.asarray((c.matrix() @ x.reshape(-1, x.shape[-1]).T).T).reshape(*LEAD, -1)


@given(labels, labels, st.integers(-3, 3), st.integers(0, 99))
def test_a_structured_connection_is_its_matrix(pre: str, post: str, weight: int, seed: int) -> None:
    c = Structured(axes(pre), axes(post), weight)
    size = int(np.prod([LENGTHS[k] for k in pre]))
    x = np.random.default_rng(seed).integers(-4, 5, (*LEAD, size))
    assert np.array_equal(structured(c, x), by_matrix(c, x))


@given(labels, labels, labels, st.integers(0, 99))
def test_sums_of_coincidences_are_the_sums_of_their_array(
    a: str, b: str, post: str, seed: int
) -> None:
    """The reader may see the population under other axes than those it was made of."""
    rng = np.random.default_rng(seed)
    both = "ijkl"
    sides = [Structured(axes(side), axes(both)) for side in (a, b)]
    x, y = (
        rng.integers(0, 3, (*LEAD, int(np.prod([n for _, n in c.pre])))).astype(np.uint8)
        for c in sides
    )
    sent = structured(sides[0], x) * structured(sides[1], y)
    found = coincidences(sides[0], x, sides[1], y)
    if found is None:
        return
    assert np.array_equal(array(found), sent)
    cut = (("i", 2), ("j1", 2), ("j2", 3), ("k", 3), ("l", 4))
    reader = Structured(cut, tuple(n for n in cut if n[0] in post or n[0] == "j1"))
    assert np.array_equal(structured(reader, found), by_matrix(reader, sent))
    each = by_matrix(reader, sent)
    for group in (1, 2, 3, 6):
        total = each.reshape(len(each), -1, group, each.shape[2]).sum(axis=2)
        assert np.array_equal(over_steps(reader, found, group), total)
        assert np.array_equal(over_steps(reader, sent, group), total)


@given(labels, labels, labels, st.integers(0, 99))
def test_what_is_the_same_at_every_step_is_read_once(a: str, b: str, post: str, seed: int) -> None:
    """A sample's total as an operand: kept once, equal to its copies at all steps."""
    rng = np.random.default_rng(seed)
    sides = [Structured(axes(side), axes("ijkl")) for side in (a, b)]
    sizes = [int(np.prod([n for _, n in c.pre])) for c in sides]
    spikes, total = rng.integers(0, 2, (*LEAD, sizes[0])), rng.integers(0, 9, (2, 1, sizes[1]))
    held = np.broadcast_to(total, (*LEAD, sizes[1]))
    reader = Structured(axes("ijkl"), tuple(n for n in axes("ijkl") if n[0] in post), 2)
    sent = structured(sides[0], spikes) * structured(sides[1], held.copy())
    assert np.array_equal(structured(sides[1], held), structured(sides[1], held.copy()))
    found = coincidences(sides[0], spikes, sides[1], held)
    if found is not None:
        assert np.array_equal(array(found), sent)
        assert np.array_equal(structured(reader, found), by_matrix(reader, sent))


@pytest.mark.parametrize("causal", [True, False])
def test_records_and_weights_are_those_of_the_full_arrays(
    causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, x = live_case(False, causal, 2)
    low = lower(graph)
    kept: list[Coincidences] = []

    def watched(*operands: object) -> Coincidences | None:
        found = coincidences(*operands)  # type: ignore[arg-type]  # passed on as they came
        if found is not None:
            kept.append(found)
        return found

    monkeypatch.setattr(module, "coincidences", watched)
    folded = quantize(low, x)
    assert len(kept) >= 4, "attention's products were not kept as operands"
    monkeypatch.setattr(module, "coincidences", lambda *operands: None)
    assert quantize(low, x).records == folded.records


def _temporal(tokens: int, width: int, group: int = 0) -> g.Graph:
    """q times the sample's total of k^T v, token by token: no sum over the pairs at a step."""
    b = Builder()
    b.add("input", g.Input(), shape=(tokens, width))
    square = (tokens, width, width)
    for n, shape in (
        ("q", (tokens, width, 1)),
        ("k", (tokens, width, 1)),
        ("v", (tokens, 1, width)),
    ):
        b.add(n, g.LIF(0.5, 0.2), "input", shape=(tokens, width))
        b.add(f"{n}1", g.Reshape(), n, shape=shape)
        b.add(f"{n}2", g.Expand(), f"{n}1", shape=square)
    b.add("kv", g.Product(), ("k2",), ("v2",), shape=square)
    b.add("view", g.Reshape(), "kv", shape=(1, *square))
    b.add("total", g.TimeSum(group), "view", shape=(1, *square))
    b.add("flat", g.Reshape(), "total", shape=square)
    b.add("qkv", g.Product(), ("q2",), ("flat",), shape=square)
    b.add("sum", g.ReduceSum((1,)), "qkv", shape=(tokens, width))
    b.add("scale", g.Scale(0.25), "sum", shape=(tokens, width))
    b.add("lif", g.LIF(0.5, 0.5), "scale", shape=(tokens, width))
    b.add("row", g.Reshape(), "lif", shape=(tokens * width,))
    b.add("head", g.Linear(np.ones((2, tokens * width)), np.zeros(2)), "row", shape=(2,))
    b.add("output", g.Output("mean"), "head", shape=(2,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=4)


@pytest.mark.parametrize("group", [0, 2])
def test_a_total_over_the_steps_is_that_of_the_full_arrays(
    group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = lower(_temporal(6, 5, group))
    x = np.random.default_rng(0).integers(0, 2, (3, 4, 6, 5))
    every, few = evaluate.run(low, x), evaluate.run(low, x, keep={"lif", "output"})
    assert every["lif"].any()
    assert all(np.array_equal(values, every[name]) for name, values in few.items())
    folded = quantize(low, x)
    monkeypatch.setattr(module, "coincidences", lambda *operands: None)
    assert quantize(low, x).records == folded.records


def test_totals_over_the_steps_take_no_array_of_all_coincidences() -> None:
    tokens, width, samples = 16, 24, 8
    low = lower(_temporal(tokens, width))
    x = np.random.default_rng(0).integers(0, 2, (samples, 4, tokens, width))
    coincident = samples * 4 * tokens * width * width  # bytes at one byte each
    tracemalloc.start()
    quantize(low, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the totals themselves, in eight bytes: two per coincidence of all steps
    assert peak < 12 * coincident, peak / coincident


def _attention(tokens: int, width: int) -> g.Graph:
    b = Builder()
    b.add("input", g.Input(), shape=(tokens, width))
    q, k, v = (b.add(n, g.LIF(0.5, 0.2), "input", shape=(tokens, width)) for n in "qkv")
    one = (1, tokens, width)
    q, k, v = (b.add(f"{n}1", g.Reshape(), n, shape=one) for n in (q, k, v))
    b.add("kt", g.Permute((0, 2, 1)), k, shape=(1, width, tokens))
    kv = b.matmul("kv", "kt", v)
    total = b.matmul("qkv", q, kv)
    b.add("scale", g.Scale(0.125), total, shape=one)
    b.add("lif", g.LIF(0.5, 0.5), "scale", shape=one)
    b.add("flat", g.Reshape(), "lif", shape=(tokens * width,))
    b.add("head", g.Linear(np.ones((2, tokens * width)), np.zeros(2)), "flat", shape=(2,))
    b.add("output", g.Output("mean"), "head", shape=(2,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=2)


def test_no_array_of_all_coincidences_is_ever_made() -> None:
    tokens, width, samples = 32, 32, 24
    graph = lower(_attention(tokens, width))
    x = np.random.default_rng(0).integers(0, 2, (samples, 2, tokens, width))
    coincident = samples * 2 * tokens * width * width  # bytes at one byte each
    tracemalloc.start()
    quantized = quantize(graph, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert quantized.records[3].rate, "the attention's neuron fires"
    # Neurons take 8 bytes each in bounds and biases; values of all samples and steps do not.
    assert peak < 5 * coincident, peak / coincident
