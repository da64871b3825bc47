"""Delays of the model's own: the spikes of another population, some steps later (`ir.delays`)."""

from __future__ import annotations

import numpy as np

from ...ground.errors import UnsupportedError
from ...ir import graph as g
from ...ir import program as p
from ...ir.delays import late, passing_on, shields
from ...ir.float_neurons import delayed
from ...ir.neurons.clock import CLOCK
from ...ir.wires import target_size, wires_into
from .cells.draft import add_helper
from .state.quantizer_state import QuantizerState, drive, own_weight, projection


def add_delay(state: QuantizerState, node: g.Node) -> None:
    """A population that sends spikes some steps later.

    Raises UnsupportedError (SFX-E223) where other values than spikes are to come later.
    """
    assert isinstance(node.op, g.Delay)
    wires = wires_into(state.graph, node)
    plain = all(
        np.all(np.isin(own_weight(w) * w.factor, (0.0, 1.0))) and not np.any(w.bias) for w in wires
    )
    if not plain or not state.classes[node.name].binary:
        raise UnsupportedError(
            "SFX-E223",
            "a delay of values that are not spikes is not mapped",
            where=node.module or node.name,
            hint="delay the spikes: put the Delay before the weights, behind the neurons",
        )
    delays, steps = node.op.of(node.shape), state.graph.timesteps
    whole = [projection(state, w, node, "a_in", own_weight(w).astype(np.int64)) for w in wires]
    size = target_size(node)
    neuron = passing_on(state.arithmetic)
    made = p.Population(node.name, node.shape, neuron, 0, 1, -1, node.module)
    for j in whole:
        state.projections.extend(late(j, state.size(j.pre), size, delays, steps))
    add_helper(CLOCK, state.arithmetic, state.populations, state.projections)
    state.populations.append(made)
    state.projections.extend(shields(made, delays, steps))
    if state.lead is not None:
        before = {j.pre: state.as_sent(j.pre) for j in whole}
        for held, values in ((state.sent, state.sent), (state.ideal, before)):
            total = sum((drive(state, j, values) for j in whole), state.zeros(node))
            held[node.name] = delayed((total > 0).astype(np.uint8), delays)
        state.listen(node.name, state.ideal[node.name], state.sent[node.name])
