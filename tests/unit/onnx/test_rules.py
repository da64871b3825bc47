"""Each rule alone against the stored answers of Intel's processes, extremes and wraps included.

Legal Programs stay clear of most wraps; these cases do not.
"""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from collections.abc import Callable  # noqa: E402  (after importorskip)
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
from onnx import helper  # noqa: E402

from sfx.backends.onnx.body import BOOL, INT64, Body, Scope  # noqa: E402
from sfx.backends.onnx.connections import project  # noqa: E402
from sfx.backends.onnx.forms import Cell, Sent  # noqa: E402
from sfx.backends.onnx.neurons import RULES  # noqa: E402
from sfx.backends.reference import synapses  # noqa: E402
from sfx.toolchain.ground.arithmetic import LOIHI  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from tests.conformance import cases  # noqa: E402
from tests.conformance.by_hand import CASES  # noqa: E402
from tests.conformance.cases import KINDS, Array, Case, differences  # noqa: E402
from tests.conformance.replay import projection  # noqa: E402
from tests.strategies import CONNECTIONS, random_projection  # noqa: E402

Run = Callable[..., list[Array]]


def runner(
    inputs: dict[str, tuple[int, tuple[int, ...]]],
    outputs: dict[str, int],
    body: Body,
) -> Run:
    """A function of the inputs, in order, executed by ONNX Runtime."""
    graph = helper.make_graph(
        body.nodes,
        "rule",
        [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(n, kind, None) for n, kind in outputs.items()],
        body.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda *values: session.run(None, dict(zip(inputs, values, strict=True)))


def compute(at: Scope, q: p.Population, ports: dict[str, str], state: tuple[str, ...]) -> Sent:
    form = RULES[type(q.neuron)]
    assert isinstance(form, Cell)
    return form.compute(at, q, ports, state, LOIHI)


def replay(case: Case) -> dict[str, Array]:
    """s, and u, v of LIFs, as the ONNX form of the rule gives them: [steps, neurons]."""
    if case.kind in ("LIF", "LIFReset"):
        return _lif(case)
    c = case.params
    programs: dict[str, Callable[[], p.NeuronProgram]] = {
        "GradedVec": lambda: p.Graded(c["vth"]),
        "GradedReluVec": lambda: p.GradedReLU(c["vth"]),
        "ProdNeuron": lambda: p.Product(c["exp"], c["vth"]),
    }
    if case.kind in programs:
        return _stateless(case, programs[case.kind]())
    return _connection(case)


def _stateless(case: Case, neuron: p.NeuronProgram) -> dict[str, Array]:
    shape = next(iter(case.inputs.values())).shape
    body = Body()
    ports = {port: body.name(port) for port in neuron.ports}
    population = p.Population("n", shape, neuron)
    sent = compute(Scope(body, "n"), population, ports, ())
    run = runner({n: (INT64, shape) for n in ports.values()}, {sent.spikes: INT64}, body)
    (s,) = run(*(case.inputs[port] for port in neuron.ports))
    return {"s": s}


def _lif(case: Case) -> dict[str, Array]:
    c = case.params
    a_in = case.inputs["a_in"]
    shape = a_in.shape[1:]
    bias = np.array(c["bias_mant"], dtype=np.int64)
    neuron = p.LIF(c["du"], c["dv"], c["vth"], bias, c["bias_exp"])
    body = Body()
    names = [body.name(n) for n in ("a_in", "u before", "v before")]
    population = p.Population("n", shape, neuron)
    sent = compute(Scope(body, "n"), population, {"a_in": names[0]}, (names[1], names[2]))
    u, v = sent.state
    outputs = {sent.spikes: BOOL, u: INT64, v: INT64}
    run = runner({n: (INT64, shape) for n in names}, outputs, body)
    u = v = np.zeros(shape, dtype=np.int64)
    trace: dict[str, list[Array]] = {"s": [], "u": [], "v": []}
    for h, a in enumerate(a_in):
        interval = c.get("interval")
        if interval and (h + 1) % interval == c["offset"] % interval:
            u = v = np.zeros(shape, dtype=np.int64)
        # a LIF whose state does not matter (du 4095) does not read it, and ONNX Runtime says so
        s, u, v = run(a, u, v)
        for name, value in (("s", s), ("u", u), ("v", v)):
            trace[name].append(value.astype(np.int64))
    return {name: np.array(values) for name, values in trace.items()}


def _connection(case: Case) -> dict[str, Array]:
    j, pre, post = projection(case)
    body = Body()
    s = body.name("s")
    out = project(Scope(body, "j"), j, pre, post, s, LOIHI)
    run = runner({s: (INT64 if pre.graded else BOOL, pre.shape)}, {out: INT64}, body)
    arrived = np.zeros_like(case.inputs["s_in"])
    arrived[j.delay :] = case.inputs["s_in"][: -j.delay]
    kind = np.int64 if pre.graded else np.bool_
    got = [run(a.reshape(pre.shape).astype(kind))[0].ravel() for a in arrived]
    return {"s": np.array(got)}


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_gives_what_lava_gave(kind: str) -> None:
    stored = cases.read(kind)
    assert len(stored) == cases.STORED
    assert any(case.expected["s"].any() for case in stored)
    assert [line for case in stored for line in differences(case, replay(case))] == []


@pytest.mark.parametrize("fact", CASES)
def test_onnx_knows(fact: str) -> None:
    assert differences(CASES[fact], replay(CASES[fact])) == []


def with_any_weights(connection: p.Connection, rng: np.random.Generator) -> p.Connection:
    """Weights that no compiler leaves: odd ones of both signs, and beyond 8 bits."""
    if isinstance(connection, p.Structured):
        return replace(connection, weight=int(rng.integers(-300, 300)))
    if isinstance(connection, p.Sparse):
        return replace(connection, data=rng.integers(-300, 300, connection.data.shape))
    assert isinstance(connection, p.Dense | p.Conv2d)
    return replace(connection, weight=rng.integers(-300, 300, connection.weight.shape))


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_any_weight_exponent_and_view_as_in_the_reference(kind: str) -> None:
    heard = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        j, pre, post = random_projection(seed, kind)
        j = replace(j, connection=with_any_weights(j.connection, rng))
        s = rng.integers(pre.low, pre.high, (1, *pre.shape), endpoint=True)
        (expected,) = synapses.build(j, pre, post, LOIHI)(s)
        body = Body()
        name = body.name("s")
        out = project(Scope(body, "j"), j, pre, post, name, LOIHI)
        kinds = (INT64, np.int64) if pre.graded else (BOOL, np.bool_)
        (got,) = runner({name: (kinds[0], pre.shape)}, {out: INT64}, body)(s[0].astype(kinds[1]))
        assert np.array_equal(got, expected), j
        heard += bool(expected.any())
    assert heard > 20
