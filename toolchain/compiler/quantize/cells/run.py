"""The spikes of a cell on the calibration data, by the rules of its populations.

The compiler's own view during calibration; the reference backend is the definition, and tests
compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ....ground.arithmetic import Arithmetic
from ....ir import program as p
from ....ir.connections import matrix
from ..state.quantizer_state import QuantizerState, drive
from ..state.values import Values
from .draft import GATE, ONE
from .terms import Cell


def values(
    state: QuantizerState, node: str, cell: Cell, before: Mapping[str, Values]
) -> dict[str, IntArray]:
    """What the populations of `node` send [K, T, n] if those before it send `before`."""
    return traced(state, node, cell, before, {})[0]


def traced(
    state: QuantizerState,
    node: str,
    cell: Cell,
    before: Mapping[str, Values],
    forced: Mapping[str, IntArray],
) -> tuple[dict[str, IntArray], dict[tuple[str, str], IntArray]]:
    """What the populations of `node` send, and what their ports receive [K, T, n].

    forced  what some of them send, whatever they receive
    """
    assert state.lead is not None
    samples, steps = state.lead
    mine = {
        q.name: q for q in cell.populations if isinstance(q.neuron, p.LIF | p.Product | p.Graded)
    }
    mine = {n: q for n, q in mine.items() if n not in (GATE, ONE)}
    sent = {n: np.zeros((samples, steps, q.size), np.int64) for n, q in mine.items()}
    ports: dict[tuple[str, str], IntArray] = {
        (n, port): np.zeros((samples, steps, q.size), np.int64)
        for n, q in mine.items()
        for port in q.neuron.ports
    }
    inner: dict[str, list[tuple[p.Projection, Any]]] = {n: [] for n in mine}
    for j in cell.projections:
        if j.post not in mine:
            continue
        if j.pre in mine:
            inner[j.post].append((j, matrix(j, mine[j.pre].size, mine[j.post].size)))
        elif j.pre in before:
            ports[j.post, j.port] += drive(state, replace(j, post=node), before)
        else:
            ports[j.post, j.port] += _helper(j, mine[j.post].size, steps)
    uv = {n: (np.zeros((samples, q.size), np.int64),) * 2 for n, q in mine.items()}
    order = sorted(mine, key=lambda n: not isinstance(mine[n].neuron, p.Graded))
    for t in range(steps):
        for n in order:
            for j, m in inner[n]:
                if t >= j.lag:
                    x = sent[j.pre][:, t - j.lag]
                    ports[n, j.port][:, t] += scale_exponent(
                        np.asarray((m @ x.T).T),
                        j.weight_exp,
                    )
            a = [ports[n, port][:, t] for port in mine[n].neuron.ports]
            uv[n], sent[n][:, t] = _step(mine[n].neuron, uv[n], a, state.arithmetic)
            if n in forced:
                sent[n][:, t] = forced[n][:, t]
    return sent, ports


def _helper(j: p.Projection, size: int, steps: int) -> IntArray:
    """What a projection from the clock, the gate or the constant one brings [T, size]."""
    weight = scale_exponent(np.asarray(matrix(j, 1, size).todense()).ravel(), j.weight_exp)
    t = np.arange(steps)
    tick = (t - j.lag) % steps == steps - 1
    on = {GATE: ~tick, ONE: np.ones(steps, bool)}.get(j.pre, tick)
    out: IntArray = on[:, None] * weight
    return out


def _step(
    neuron: p.NeuronProgram,
    uv: tuple[IntArray, IntArray],
    a: list[IntArray],
    widths: Arithmetic,
) -> tuple[tuple[IntArray, IntArray], IntArray]:
    if isinstance(neuron, p.Product):
        return uv, (a[0] * a[1]) >> neuron.exp
    if not isinstance(neuron, p.LIF):
        return uv, a[0]
    kept = [
        widths.decayed(uv[0], widths.full_decay - neuron.du),
        widths.decayed(uv[1], widths.decay_unity - neuron.dv),
    ]
    u = widths.wrap_current(kept[0] + (a[0] << INPUT_SHIFT))
    bias = (neuron.bias_mant << neuron.bias_exp).ravel()
    v = widths.saturate_membrane(kept[1] + u + bias)
    fired = (v > neuron.vth << INPUT_SHIFT).astype(np.int64)
    return (u, v * (1 - fired)), fired
