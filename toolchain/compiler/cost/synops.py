"""Synaptic operations of a run, before and without any placement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from ...ir.fan_in import FanIn
from ...ir.program import Program, Projection
from .activity import EventCounts, total


def fan_out(program: Program, projection: Projection) -> NDArray[np.int64]:
    """Synapses that each pre neuron drives [pre size].

    Counted from the connection's structure, so a large convolution needs no matrix.
    """
    pre, post = program[projection.pre], program[projection.post]
    driven, synapses = FanIn(projection, pre.size, post.size).into(
        np.arange(post.size, dtype=np.int64)
    )
    out = np.zeros(pre.size, dtype=np.int64)
    out[driven] = synapses
    return out


def synapses(program: Program, projection: Projection) -> int:
    """Synapses of a projection, without an entry per neuron where its pattern is regular."""
    c = projection.connection
    if c.even:
        return c.synapses
    return int(fan_out(program, projection).sum())


def synops_by_neuron(program: Program, name: str) -> NDArray[np.float64]:
    """Synops that one event of each neuron of a population causes [size]."""
    driven = np.zeros(program[name].size)
    for j in program.outgoing[name]:
        driven += fan_out(program, j)
    return driven


def synops(program: Program, counts: EventCounts) -> int:
    """Synaptic operations of all samples of `counts`: each event drives its neuron's synapses."""
    return sum(_driven(program, j, counts) for j in program.projections)


def _driven(program: Program, j: Projection, counts: EventCounts) -> int:
    size = program[j.pre].size
    if j.connection.even:  # all neurons drive equally many
        return total(counts.events, j.pre) * (synapses(program, j) // size)
    sent = np.asarray(counts.events[j.pre], dtype=np.int64).reshape(-1, size).sum(axis=0)
    return int(sent @ fan_out(program, j))


def synops_per_spike(
    program: Program, counts: EventCounts | None = None, senders: Collection[str] = ()
) -> dict[str, float]:
    """Module path of the source model -> synops that a spike of its populations causes on average.

    What weighs spikes in training, so that it is the energy of the Program that falls.

    counts   of a run on typical samples: the average is over their spikes then, not over neurons
    senders  modules whose spikes are weighed, empty: all. With counts, the synops of all others
             (residual sums, products) are charged to the senders that make them send
    """
    drives = {j.pre for j in program.projections}
    modules = {
        q.name: q.module
        for q in program.populations
        if q.module and q.name in drives and (not senders or q.module in senders)
    }
    neurons, driven = Counter[str](), Counter[str]()
    for name, module in modules.items():
        neurons[module] += program[name].size
    for j in program.projections:
        if j.pre in modules:
            driven[modules[j.pre]] += synapses(program, j)
    costs = {module: driven[module] / size for module, size in neurons.items()}
    return costs if counts is None else costs | _measured(program, counts, modules)


def _measured(
    program: Program, counts: EventCounts, modules: Mapping[str, str]
) -> dict[str, float]:
    """The same of a run, for modules that sent; `modules` of the populations that are charged."""
    spikes = Counter[str]()
    caused = dict.fromkeys(modules.values(), 0.0)
    for name, done in _charged(program, counts, modules).items():
        caused[modules[name]] += done
        spikes[modules[name]] += total(counts.events, name)
    return {module: caused[module] / spikes[module] for module in +spikes}


def _charged(program: Program, counts: EventCounts, senders: Collection[str]) -> dict[str, float]:
    """Population of `senders` -> its synops, and those of the populations that it makes send.

    In proportion to the synops that it brings them, through accumulators that feed themselves as
    well: owed = own + share @ owed. What the input alone makes send is charged to nobody.
    """
    at = {q.name: i for i, q in enumerate(program.populations)}
    own, brought = np.zeros(len(at)), np.zeros((len(at), len(at)))
    for j in program.projections:
        done = _driven(program, j, counts)
        own[at[j.pre]] += done
        if j.post not in senders and not program[j.pre].neuron.driven:
            brought[at[j.pre], at[j.post]] += done
    share = brought / (1 + brought.sum(0))  # 1: none feeds itself alone
    owed = np.linalg.solve(np.eye(len(at)) - share, own)
    return {name: float(owed[at[name]]) for name in senders}
