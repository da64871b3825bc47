"""The input of a population: its projections applied to what their pre populations sent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...toolchain.ground.arith import IntArray, wrap32
from ...toolchain.ground.arithmetic import Arithmetic
from ...toolchain.ir.program import Population, Program, Projection
from .connections import RULES
from .types import Ports, Synapses


def build(j: Projection, pre: Population, post: Population, widths: Arithmetic) -> Synapses:
    """The whole projection, [B, *pre shape] -> [B, *post shape]: views, connection, exponent.

    Where pre is not graded its spikes carry no payload: every nonzero value counts as 1
    (integer semantics 3.1, num_message_bits = 0).
    """
    apply = RULES[type(j.connection)].synapses(j.connection, j.weight_exp, widths)

    def project(s: IntArray) -> IntArray:
        flat = s.reshape(len(s), -1)
        if not pre.graded:
            flat = (flat != 0).astype(np.int64)
        if j.pre_view is not None:
            flat = j.pre_view.apply(flat, lead=1)
        out = apply(flat)
        if j.post_view is not None:
            out = j.post_view.apply(out, lead=1)
        return out.reshape(len(s), *post.shape)

    return project


def build_all(program: Program) -> dict[str, Synapses]:
    """Projection name -> its rule."""
    return {
        j.name: build(j, program[j.pre], program[j.post], program.arithmetic)
        for j in program.projections
    }


def gather(
    program: Program,
    post: Population,
    rules: dict[str, Synapses],
    sent: Callable[[Projection], IntArray],
    lanes: int,
) -> Ports:
    """Input of `post` by port [B, *shape]: the sum over its projections of what each delivers.

    sent(j) is what the pre of j sent [B, *pre shape] at the step that arrives now.
    Fan-in to one port is summed in 32 bits (integer semantics 4).
    """
    ports = {p: np.zeros((lanes, *post.shape), dtype=np.int64) for p in post.neuron.ports}
    for j in program.incoming[post.name]:
        s = sent(j)
        if s.any():  # no rule makes something of no spikes
            ports[j.port] += rules[j.name](s)
    return {name: wrap32(total) for name, total in ports.items()}
