"""NeuroBench's metrics of a run, the membranes' among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...ir.facts import part_of

if TYPE_CHECKING:
    from ....backends.base import Counts, Stream
    from ...formats.bundle.bundle import Bundle
    from ...ir.program import Program


MOST = 1 << 29
"""Bytes of the record that membranes are read from: seconds of the reference."""


def metrics(bundle: Bundle, counts: Counts, x: NDArray[Any]) -> dict[str, Any]:
    """`cost.neurobench`, by names; membranes of the first sample, where its record fits memory."""
    from ...compiler.cost.neurobench import neurobench
    from ...ir.memory_use import recordable
    from .running import stream

    program = bundle.program
    names = _spiking(bundle)
    kept = None
    if recordable(program, 1, states=True, limit=MOST)[0]:
        kept = membranes(program, stream(program, x[:1], "reference", states=True), names)
    found = neurobench(program, counts, names, binary_input=bool(x.max() <= 1), membranes=kept)
    return vars(found)


def _spiking(bundle: Bundle) -> tuple[str, ...]:
    """Names of the model's spiking neurons; without a record all LIF that stand for themselves."""
    program = bundle.program
    records = bundle.manifest.get("quantization", ())
    told = {r["population"] for r in records if r.get("spikes") is not None}
    parts = part_of(program.facts or ())
    alone = [p.name for p in program if p.neuron.recorded and p.name not in parts]
    return tuple(p.name for p in program if p.name in told) or tuple(alone)


def membranes(
    program: Program, record: Stream, neurons: Iterable[str]
) -> dict[str, NDArray[np.int64]] | None:
    """[K, T, *shape] of each neuron, from a record with states; None if one has none.

    A neuron of one population: v at the end of the step, after the reset. One of several sums its
    membrane anew in every step, before the reset: the current of the population that fires.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for name in neurons:
        kept = _kept(program, record, name)
        if kept is None:
            return None
        found[name] = kept
    return found


def _kept(program: Program, record: Stream, name: str) -> NDArray[Any] | None:
    from ....backends.base import align

    apart = f"{name}.membrane"
    senders = {j.pre for j in program.incoming[name]}
    if apart in senders:
        values = record.u.get(name)
    elif any(p.name == apart for p in program):
        values, name = record.spikes[apart], apart  # compared elsewhere; silent at the last step
    else:
        values = record.v.get(name)
    if values is None:
        return None
    return align(values, program[name].phase, record.samples, program.timesteps)
