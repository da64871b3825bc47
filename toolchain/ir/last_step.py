"""Populations that send only at a sample's last step, as the clear of an accumulator does.

The total of a sample leaves the accumulator at its last step (semantics 6.3, built in
`compiler/quantize/cells/accumulator.py`). Projections with negative lags bring it to the earlier
steps, and of several of them with different lags at most one delivers at any step.
"""

from __future__ import annotations

from collections.abc import Mapping

from .program import Clock, Graded, Product, Program, Projection, Structured


def clocked(program: Program) -> set[str]:
    """Clocks and what reads nothing else: the same in every sample, at whatever step and size."""
    out: set[str] = set()
    for p in program:
        drives = program.incoming[p.name]
        relayed = isinstance(p.neuron, Graded) and drives and all(j.pre in out for j in drives)
        if isinstance(p.neuron, Clock) or relayed:
            out.add(p.name)
    return out


def ticking(program: Program) -> set[str]:
    """Clocks and relays that pass the tick on as it is: 1 at a sample's last step, else 0."""
    out: set[str] = set()
    for p in program:
        reads = program.incoming[p.name]
        relayed = p.neuron == Graded() and len(reads) == 1 and reads[0].pre in out
        if isinstance(p.neuron, Clock) or (relayed and _passes_on(reads[0])):
            out.add(p.name)
    return out


def _passes_on(j: Projection) -> bool:
    """From one neuron to one neuron, with weight 1 and at the same step."""
    one = isinstance(j.connection, Structured) and j.connection.weight == 1
    return one and j.lag == j.weight_exp == 0


def once_per_sample(program: Program) -> Mapping[str, str]:
    """name -> origin: Products that a clock gates at the same step, and relays of them.

    All neurons of a relay read one such population at the same step, so it is silent at the others.
    """
    ticks = ticking(program)
    found: dict[str, str] = {}
    for p in program:
        reads = program.incoming[p.name]
        if isinstance(p.neuron, Product):
            ports: dict[str, list[bool]] = {}
            for j in reads:
                ports.setdefault(j.port, []).append(j.pre in ticks and j.lag == 0)
            if any(all(gates) for gates in ports.values()):
                found[p.name] = p.name
        elif isinstance(p.neuron, Graded) and len(reads) == 1 and _is_relayed(reads[0], found):
            found[p.name] = found[reads[0].pre]
    return found


def _is_relayed(j: Projection, found: Mapping[str, str]) -> bool:
    return j.lag == 0 and j.pre in found
