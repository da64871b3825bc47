"""The evaluator against plain loops written from the ops' docstrings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir import evaluate, float_ops
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.graph import Graph
from sfx.toolchain.ir.pair_products import contract
from tests.unit.ir.graphs import attention, chain, node


def spikes(rng: np.random.Generator, *shape: int, high: int = 1) -> np.ndarray:
    return rng.integers(0, high + 1, shape).astype(np.float64)


def conv_by_hand(op: g.Conv2d, x: np.ndarray) -> np.ndarray:
    out, per_group, kh, kw = op.weight.shape
    height = (x.shape[1] + 2 * op.padding[0] - op.dilation[0] * (kh - 1) - 1) // op.stride[0] + 1
    width = (x.shape[2] + 2 * op.padding[1] - op.dilation[1] * (kw - 1) - 1) // op.stride[1] + 1
    y = np.zeros((out, height, width))
    for o, h, w in np.ndindex(y.shape):
        total = op.bias[o]
        for i, a, b in np.ndindex(per_group, kh, kw):
            row = h * op.stride[0] - op.padding[0] + a * op.dilation[0]
            column = w * op.stride[1] - op.padding[1] + b * op.dilation[1]
            channel = o // (out // op.groups) * per_group + i
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                total += op.weight[o, i, a, b] * x[channel, row, column]
        y[o, h, w] = total
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), (1, 1), (1, 1)),
        ((3, 2), (2, 1), (0, 1), (1, 1)),
        ((2, 3), (1, 2), (2, 0), (2, 1)),
        ((1, 1), (2, 2), (0, 0), (1, 1)),
    ],
)
def test_conv(groups, kernel, stride, padding, dilation):
    rng = np.random.default_rng(groups)
    op = g.Conv2d(
        rng.integers(-4, 5, (8, 4 // groups, *kernel)).astype(float),
        rng.integers(-4, 5, 8).astype(float),
        stride,
        padding,
        dilation,
        groups,
    )
    x = spikes(rng, 2, 4, 6, 7, high=3)
    got = float_ops.apply(op, x)
    assert got.any()
    np.testing.assert_array_equal(got, [conv_by_hand(op, sample) for sample in x])


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((3, 2), (1, 2), (1, 0))],
)
@pytest.mark.parametrize("kind", [g.SumPool2d, g.MaxPool2d])
def test_pools(kind, kernel, stride, padding):
    rng = np.random.default_rng(1)
    x = rng.integers(-5, 5, (2, 3, 7, 6)).astype(float)
    got = float_ops.apply(kind(kernel, stride, padding), x)
    assert got.shape[2:] == tuple(
        (n + 2 * p - k) // s + 1
        for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)
    )
    reduce = sum if kind is g.SumPool2d else max
    for m, c, h, w in np.ndindex(got.shape):
        window = [
            x[m, c, h * stride[0] - padding[0] + a, w * stride[1] - padding[1] + b]
            for a, b in np.ndindex(kernel)
            if 0 <= h * stride[0] - padding[0] + a < x.shape[2]
            and 0 <= w * stride[1] - padding[1] + b < x.shape[3]
        ]
        assert got[m, c, h, w] == reduce(window)


@pytest.mark.parametrize("subtract", [False, True])
def test_lif_and_if_follow_their_equations(subtract):
    """By hand: decay 1/2, gain 2, leak 0.25, threshold 1, reset -0.5, x = 1, then 0."""
    op = g.LIF(0.5, 1.0, 2.0, 0.25, -0.5, subtract)
    graph = chain(("input", g.Input(), (1,)), ("lif", op, (1,)), timesteps=5)
    got = evaluate.run(graph, np.array([1.0, 1, 1, 0, 0]).reshape(1, 5, 1))["lif"].ravel()
    v, want = 0.0, []
    for x in (1.0, 1, 1, 0, 0):
        v = v + 0.5 * (0.25 - v + 2 * x)
        want.append(float(v > 1))
        if v > 1:
            v = v - 1 if subtract else -0.5
    assert got.tolist() == want
    assert got.any()

    graph = chain(
        ("input", g.Input(), (1,)), ("if", g.IF(2.0, 1.5, 0.5, subtract), (1,)), timesteps=4
    )
    got = evaluate.run(graph, np.ones((1, 4, 1)))["if"].ravel()
    # 1.5, 3 -> spike, then 1 or 0.5; 2.5 -> spike or 2.0 -> none (strict)
    assert got.tolist() == ([0, 1, 1, 0] if subtract else [0, 1, 0, 1])


def test_a_tie_is_no_spike():
    graph = chain(
        ("input", g.Input(), (2,)), ("lif", g.LIF(0.5, 1.0), (2,)), ("thr", g.Threshold(0.0), (2,))
    )
    x = np.array([[[2.0, 2.000001]] * 3])
    record = evaluate.run(graph, x)
    assert record["lif"][0, 0].tolist() == [0, 1]
    np.testing.assert_array_equal(record["thr"], record["lif"])


def test_samples_do_not_see_each_other():
    graph = attention()
    rng = np.random.default_rng(3)
    x = spikes(rng, 3, 5, 6, 4)
    together = evaluate.run(graph, x)
    for k in range(3):
        alone = evaluate.run(graph, x[k : k + 1])
        for name, record in alone.items():
            np.testing.assert_allclose(together[name][k : k + 1], record, rtol=1e-12, atol=1e-12)
    assert all(together[n].any() for n in ("q.lif", "k.lif", "v.lif", "attn_lif"))


def test_attention_is_the_matrix_formula():
    graph = attention()
    check_graph(graph)
    record = evaluate.run(graph, spikes(np.random.default_rng(4), 2, 5, 6, 4))
    q, k, v = (record[f"{n}.heads"] for n in "qkv")  # [K, T, heads, dim, tokens]
    assert all(s.any() and not s.all() for s in (q, k, v))
    kv = np.cumsum(k @ v.swapaxes(-1, -2), axis=1)
    want = q.swapaxes(-1, -2) @ kv
    np.testing.assert_array_equal(record["qm_sum"], want)
    assert record["attn_lif"].any()
    assert not record["attn_lif"].all()


def test_keep_gives_the_same_values_without_the_products():
    graph = attention(tokens=6, dim=4, heads=3)
    x = spikes(np.random.default_rng(5), 4, 5, 12, 6)
    everything = evaluate.run(graph, x)
    names = ["memory", "qm_sum", "attn_lif", "output"]
    some = evaluate.run(graph, x, keep=names)
    assert list(some) == names
    for name in names:
        np.testing.assert_array_equal(some[name], everything[name])


def test_groups_of_samples_do_not_matter(monkeypatch):
    graph = attention()
    x = spikes(np.random.default_rng(6), 5, 5, 6, 4)
    whole = evaluate.run(graph, x)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(evaluate, "CHUNK_BYTES", 1)
    split = evaluate.run(graph, x, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]
    for name, record in whole.items():
        np.testing.assert_allclose(split[name], record, rtol=1e-12, atol=1e-12)


def recurrent(steps: int) -> Graph:
    """lif -> W -> Permute ... -> lif, with the loop's output also pooled."""
    weight = np.array([[0.0, 1.5], [-1.0, 0.0]])
    nodes = (
        node("input", g.Input(), (2,)),
        node("lif", g.LIF(0.5, 0.6), (2,), ("input", "w")),
        node("w", g.Linear(weight, np.zeros(2)), (2,), "lif"),
        node("output", g.Output("sum"), (2,), "lif"),
    )
    return Graph(nodes, steps)


def test_a_loop_carries_the_spikes_of_the_step_before():
    graph = recurrent(6)
    check_graph(graph)
    x = np.array([[2.0, 0], [0, 0], [0, 1], [1, 1], [2, 0], [0, 3]])[None]
    got = evaluate.run(graph, x)["lif"][0]
    v, before, want = np.zeros(2), np.zeros(2), []
    for row in x[0]:
        v = v + 0.5 * (row + graph["w"].op.weight @ before - v)
        before = (v > 0.6).astype(float)
        v = np.where(before > 0, 0, v)
        want.append(before)
    np.testing.assert_array_equal(got, want)
    assert got.any(axis=0).all()


def test_the_order_of_a_loops_nodes_does_not_matter():
    graph = recurrent(8)
    x = spikes(np.random.default_rng(7), 3, 8, 2, high=3)
    record = evaluate.run(graph, x)["lif"]
    for order in itertools.permutations(graph.nodes):
        moved = Graph(order, 8)
        np.testing.assert_array_equal(evaluate.run(moved, x)["lif"], record)


def test_readout():
    x = np.arange(12.0).reshape(2, 3, 2)
    for reduce, want in (("mean", x.mean(1)), ("sum", x.sum(1)), ("none", x)):
        graph = chain(("input", g.Input(), (2,)), ("s", g.Sum(), (2,)), reduce=reduce)
        np.testing.assert_array_equal(
            evaluate.readout(graph, evaluate.run(graph, x)["output"]), want
        )


@pytest.mark.parametrize("shape", [(3, 2), (1, 4, 2), (1, 3, 3), (0, 3, 2), ()])
def test_wrong_data_is_refused(shape):
    graph = chain(("input", g.Input(), (2,)), ("s", g.Sum(), (2,)))
    with pytest.raises(InputError) as error:
        evaluate.run(graph, np.zeros(shape))
    assert error.value.code == "SFX-E216"


def test_unknown_name_is_refused():
    graph = chain(("input", g.Input(), (2,)), ("s", g.Sum(), (2,)))
    with pytest.raises(InputError, match="nope"):
        evaluate.run(graph, np.zeros((1, 3, 2)), keep=["nope"])


@given(st.data())
def test_contract_is_the_sum_of_the_product(data):
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    def operand() -> np.ndarray:
        wide = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
        small = [1 if w else n for n, w in zip(shape, wide, strict=True)]
        return np.broadcast_to(rng.integers(-3, 4, small).astype(float), shape)

    a, b = operand(), operand()
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1)))))
    np.testing.assert_array_equal(contract(a, b, axes), (a * b).sum(axis=axes))
