"""The passes change the graph's form and not one of its spikes; what they cannot do they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.compile import TO_NEURON_FORM, lower
from sfx.toolchain.compiler.passes import place_relays
from sfx.toolchain.compiler.passes.base import run_passes
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.wires import wires_into
from tests.graphs import events, live, live_case, pooled_currents, spikeformer, with_op


@pytest.mark.parametrize("causal", [True, False])
def test_neuron_form_keeps_every_spike(causal: bool) -> None:
    graph, x = live_case(False, causal, 2)
    low = lower(graph)
    assert not low.of_type(g.BatchNorm, g.MaxPool2d)
    before, after = run(graph, x), run(low, x)
    names = [n.name for n in graph if n.op.neuron and n.name in low]
    assert len(names) >= 16
    for name in names:
        assert np.array_equal(before[name], after[name]), name
    assert np.allclose(before["output"], after["output"])


def test_every_path_is_one_wire() -> None:
    low = lower(spikeformer(blocks=2))
    for node in low:
        if node.op.neuron or isinstance(node.op, g.Output):
            for wire in wires_into(low, node):
                assert low[wire.source].op.neuron


def test_coincidences_and_products() -> None:
    low = lower(spikeformer())
    assert isinstance(low["blocks.0.kv.mul"].op, g.Threshold), "k AND v needs no multiplier"
    assert isinstance(low["blocks.0.qkv.mul"].op, g.Product), "q times a count does"


def test_streams_read_twice_become_relays() -> None:
    low = lower(spikeformer(blocks=2))
    relays = {n.name for n in low.of_type(g.Relay)}
    assert {"blocks.0.add1", "blocks.0.add2", "blocks.1.add1"} <= relays
    assert "blocks.1.add2" not in relays, "the last stream has one reader and stays fan-in"


def test_fan_in_before_weights_counts_the_bias_once() -> None:
    low = lower(spikeformer())
    head = wires_into(low, low["output"])
    assert len(head) == 1
    nodes = {n.name: n for n in low}
    # without the relay the linear layer would be fed by two producers
    fed_twice = [
        replace(n, inputs=(("ct.pool", "ct.pool2"),)) if n.name == "ct.flat" else n
        for n in low
        if n.name in nodes
    ]
    fed_twice.append(replace(low["ct.pool"], name="ct.pool2"))
    graph = low.with_nodes(fed_twice)
    wires = wires_into(graph, graph["blocks.0.q_lif"])
    assert [w.source for w in wires] == ["ct.pool", "ct.pool2"]
    assert np.any(wires[0].bias)
    assert not np.any(wires[1].bias)


def refused(graph: g.Graph) -> str:
    """The passes alone: a rewired graph has loose ends that `check_graph` would refuse first."""
    with pytest.raises(UnsupportedError) as caught:
        run_passes(graph, TO_NEURON_FORM, lambda g: None)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((3, 3), (2, 2), (1, 1)), ((2, 2), (2, 2), (0, 0)), ((1, 3), (1, 2), (0, 1)), ((1, 1),) * 3],
)
def test_max_pool_of_currents_is_exact(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    padding = (0, 0) if kernel == (1, 1) else padding
    graph = pooled_currents(kernel, stride, padding)
    x = events(graph, 6, rate=0.5)
    live(graph, x)
    low = lower(graph)
    before, after = run(graph, x), run(low, x)
    for name in ("pool", "lif"):
        assert np.array_equal(before[name], after[name]), name


def test_factors_sink_behind_products() -> None:
    """(q k^T * s) v and (q k^T) v * s lower to the same neurons."""
    graph = spikeformer()
    scale = graph["blocks.0.scale"]
    early = replace(scale, name="early", inputs=(("blocks.0.memory",),), shape=(2, 3, 3))
    nodes = [n for n in graph if n.name != scale.name]
    nodes = [
        replace(n, inputs=(("early",),)) if n.inputs == (("blocks.0.memory",),) else n
        for n in nodes
    ]
    nodes = [
        replace(n, inputs=(("blocks.0.qkv.sum",),)) if n.inputs == ((scale.name,),) else n
        for n in nodes
    ]
    other = graph.with_nodes([*nodes, early])
    x = events(graph, 3)
    one, two = run(lower(graph), x), run(lower(other), x)
    assert np.array_equal(one["blocks.0.attn_lif"], two["blocks.0.attn_lif"])
    assert isinstance(lower(other)["blocks.0.qkv.mul"].op, g.Product)


def test_product_of_real_values_is_refused() -> None:
    graph = spikeformer()
    nodes = [
        replace(n, inputs=(("blocks.0.k.out",),)) if n.name == "blocks.0.k.split" else n
        for n in graph
    ]
    assert "SFX-E303" in refused(graph.with_nodes(nodes))


def test_with_op_helper_changes_one_node() -> None:
    graph = with_op(spikeformer(), "ct.lif", threshold=2.0)
    assert isinstance(graph["ct.lif"].op, g.LIF)
    assert graph["ct.lif"].op.threshold == 2.0


def chain(layers: int) -> g.Graph:
    """`layers` times two maps in a row and a neuron, so that each pair needs a relay."""
    shape, weight, bias = (2,), np.eye(2), np.zeros(2)
    nodes = [g.Node("input", g.Input(high=1), (), shape)]
    for i in range(layers):
        for name, op in (
            (f"a{i}", g.Linear(weight, bias)),
            (f"b{i}", g.Linear(weight, bias)),
            (f"n{i}", g.IF(0.5)),
        ):
            nodes.append(g.Node(name, op, ((nodes[-1].name,),), shape))
    nodes.append(g.Node("output", g.Output(), ((nodes[-1].name,),), shape))
    return g.Graph(tuple(nodes), 2)


def test_relays_of_a_long_chain_are_placed_in_one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the next spot from the start again would take minutes at 1,500 populations."""
    visits: list[str] = []
    visit = place_relays._Walk.visit

    def counted(walk: place_relays._Walk, node: g.Node) -> None:
        visits.append(node.name)
        visit(walk, node)

    monkeypatch.setattr(place_relays._Walk, "visit", counted)
    graph = chain(1500)
    low = place_relays.PlaceRelays().run(graph)
    assert sorted(visits) == sorted(n.name for n in graph)
    assert [n.name for n in low.of_type(g.Relay)] == [f"a{i}.relay" for i in range(1500)]


def test_a_relay_takes_no_name_that_is_there() -> None:
    graph = chain(1)
    nodes = [
        replace(n, name="a0.relay", inputs=n.inputs)
        if n.name == "n0"
        else replace(
            n, inputs=tuple(tuple(p.replace("n0", "a0.relay") for p in q) for q in n.inputs)
        )
        for n in graph
    ]
    low = place_relays.PlaceRelays().run(graph.with_nodes(nodes))
    assert {"a0.relay", "a0.relay_2"} <= {n.name for n in low}
    assert len({n.name for n in low}) == len(low.nodes)
