"""The reference's answer to a conformance case: its rule files, one parameter set at a time."""

from __future__ import annotations

import numpy as np

from sfx.backends.reference import synapses
from sfx.backends.reference.neurons import graded, graded_relu, product
from sfx.backends.reference.neurons import lif as lif_rule
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import program as p
from tests.conformance.cases import Array, Case


def replay(case: Case) -> dict[str, Array]:
    """s, and u, v of LIFs: [steps, neurons]."""
    if case.kind in ("LIF", "LIFReset"):
        return _lif(case)
    if case.kind in ("GradedVec", "GradedReluVec"):
        a_in = case.inputs["a_in"]
        if case.kind == "GradedVec":
            return {"s": graded.step(p.Graded(case.params["vth"]), a_in)}
        return {"s": graded_relu.step(p.GradedReLU(case.params["vth"]), a_in)}
    if case.kind == "ProdNeuron":
        neuron = p.Product(case.params["exp"], case.params["vth"])
        return {"s": product.step(neuron, case.inputs["a_in1"], case.inputs["a_in2"])}
    return {"s": _connection(case)}


def _lif(case: Case) -> dict[str, Array]:
    """Lava's step h + 1 is our h; it resets where (h + 1) mod interval = offset mod interval."""
    c = case.params
    neuron = p.LIF(
        c["du"], c["dv"], c["vth"], np.array(c["bias_mant"], dtype=np.int64), c["bias_exp"]
    )
    state = lif_rule.reset((1, 1))
    trace: dict[str, list[Array]] = {"s": [], "u": [], "v": []}
    for h, a_in in enumerate(case.inputs["a_in"]):
        interval = c.get("interval")
        if interval and (h + 1) % interval == c["offset"] % interval:
            state = lif_rule.reset((1, 1))
        state, s = lif_rule.step(neuron, state, a_in[None], LOIHI)
        for name, value in (("s", s), ("u", state.u), ("v", state.v)):
            trace[name].append(value[0])
    return {name: np.array(values) for name, values in trace.items()}


def projection(case: Case) -> tuple[p.Projection, p.Population, p.Population]:
    """The projection of a connection case, between populations of its sizes."""
    c = case.params
    weight = np.array(c["weight"], dtype=np.int64)
    kind: p.Connection
    if case.kind == "Conv":
        channels, height, width = c["in_shape"]
        size = [
            (n + 2 * pad - dil * (k - 1) - 1) // s + 1
            for n, pad, dil, k, s in zip(
                (height, width),
                c["padding"],
                c["dilation"],
                weight.shape[2:],
                c["stride"],
                strict=True,
            )
        ]
        pre, post = (channels, height, width), (len(weight), size[0], size[1])
        kind = p.Conv2d(
            weight,
            pre,
            post,
            tuple(c["stride"]),
            tuple(c["padding"]),
            tuple(c["dilation"]),
            c["groups"],
        )
    else:
        pre, post = (weight.shape[1],), (weight.shape[0],)
        kind = p.Dense(weight) if "Dense" in case.kind else _sparse(weight)
    high = (1 << 30) if c["graded"] else 1
    return (
        p.Projection("j", "pre", "post", kind, weight_exp=c["exp"], delay=c.get("delay", 1)),
        p.Population("pre", pre, p.Graded(), low=-high if c["graded"] else 0, high=high),
        p.Population("post", post, p.Graded(), low=-(1 << 30), high=1 << 30),
    )


def _sparse(weight: Array) -> p.Sparse:
    rows, columns = np.nonzero(weight)
    indptr = np.searchsorted(rows, np.arange(len(weight) + 1))
    return p.Sparse(indptr, columns, weight[rows, columns])


def _connection(case: Case) -> Array:
    """What arrives: the projection of the spikes of `delay` steps ago."""
    j, pre, post = projection(case)
    s_in = case.inputs["s_in"]
    arrived = np.zeros_like(s_in)
    arrived[j.delay :] = s_in[: -j.delay]
    out = synapses.build(j, pre, post, LOIHI)(arrived.reshape(len(s_in), *pre.shape))
    return out.reshape(len(s_in), -1)
