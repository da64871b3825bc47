"""NeuroBench's metrics (2.3) of a Program: Yik et al., Nature Communications 16, 1545 (2025).

Their package measures a torch model by hooks; here the integers themselves are counted, as they
are stored and run. On a net that needs no rounding both give the same numbers
(`tests/e2e/test_neurobench_package.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.program import Program
from .activity import EventCounts, total
from .operations import full, graded, learned, synapses_of_layers
from .synops import fan_out


@dataclass(frozen=True)
class NeuroBench:
    """Of one sample on average, over all T steps.

    weights              numbers of all layers, zeros included; kernels once
    footprint_bytes      of the weights as they are stored, biases and other constants left out
    connection_sparsity  share of the weights that are 0
    activation_sparsity  share of the neuron-steps without a spike
    effective_acs        synaptic operations of spikes through weights that are not 0
    effective_macs       the same of graded values
    dense                operations if every neuron sent at every step and no weight were 0
    membrane_updates     neuron-steps whose membrane is another one than a step before (all, at the
                         first step); None where no membrane was recorded
    """

    weights: int
    footprint_bytes: float
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense: float
    membrane_updates: float | None


def neurobench(
    program: Program,
    counts: EventCounts,
    neurons: tuple[str, ...],
    *,
    binary_input: bool,
    membranes: Mapping[str, NDArray[np.int64]] | None = None,
) -> NeuroBench:
    """All metrics of a run.

    neurons         names of the model's spiking neurons
    binary_input    no event of the input counts more than 1
    membranes       [K, T, *shape] of neurons, on any samples
    """
    layers = [j for j in synapses_of_layers(program) if learned(j)]
    effective = {False: 0.0, True: 0.0}
    dense = 0.0
    for j in layers:
        pre = program[j.pre]
        counts_as_macs = graded(pre) and not (pre.name == program.input.name and binary_input)
        sent = np.asarray(counts.events[j.pre], dtype=np.int64).reshape(-1, pre.size).sum(0)
        effective[counts_as_macs] += float(sent @ fan_out(program, j)) / counts.samples
        dense += float(fan_out(program, full(j)).sum()) * program.timesteps
    weights = [j.connection.weights for j in layers]
    count = sum(w.size for w in weights)
    zeros = sum(w.size - int(np.count_nonzero(w)) for w in weights)
    steps = counts.samples * program.timesteps * sum(program[n].size for n in neurons)
    spikes = sum(total(counts.events, n) for n in neurons)
    return NeuroBench(
        count,
        _stored_bits(program) / 8,
        zeros / count if count else 0.0,
        1 - spikes / steps if steps else 0.0,
        effective[False],
        effective[True],
        dense,
        None if membranes is None else sum(map(_updates, membranes.values())),
    )


def _stored_bits(program: Program) -> int:
    """Of all weights; both terms of one that is stored in two."""
    held = [j.connection for j in program.projections if j.connection.storage != "pattern"]
    return sum(c.weights.size * program.arithmetic.mantissa_bits(c.weights) for c in held)


def _updates(membrane: NDArray[np.int64]) -> float:
    """Of [K, T, *shape], per sample."""
    changed = int(np.count_nonzero(np.diff(membrane, axis=1)))
    return float(changed / len(membrane) + membrane[0, 0].size)
