"""Bytes that a Graph and a Program take.

The estimates are lower bounds, arrays that must exist at one time, so what is refused could not
have run; what is let through may still need more.
"""

from __future__ import annotations

import numpy as np

from ..ground import memory
from . import graph as g
from .graph import Graph
from .program import Program
from .unstored_products import SPIKING

VALUE = 8
"""Bytes of a recorded value, int64 or float64."""
RECORD = 8 << 30
"""Bytes of spikes that are recorded for a picture: some minutes of the reference."""


def of_record(program: Program, steps: int, states: bool) -> int:
    """Bytes of what every population sends for so many steps, and of u and v."""
    sent = sum(p.size for p in program)
    kept = sum(len(p.neuron.state) * p.size for p in program) if states else 0
    return VALUE * steps * (sent + kept)


def recordable(
    program: Program, most: int, *, states: bool = False, limit: int = 0
) -> tuple[int, str]:
    """How many of `most` samples can be recorded, with their states, and why not one, if none can.

    `limit` bytes at most (0: RECORD), and half of the memory that is free.
    """
    allowed = min(limit or RECORD, memory.free() // 2)
    need = 0
    for count in range(most, 0, -1):
        need = of_record(program, count * program.timesteps + program.last_phase, states=states)
        if need <= allowed:
            return count, ""
    return 0, f"the record of a sample takes {memory.text(need)}, more than {memory.text(allowed)}"


def of_run(program: Program, backend: str) -> int:
    """Bytes that one sample takes in a backend's `run`."""
    if backend in ("lava", "onnx"):  # their sums and counts are taken from a record
        return of_record(program, program.timesteps + program.last_phase, states=False)
    if backend == "fast":  # a byte at least of what is sent, for all steps; not all at one time
        return max(p.size for p in program) * program.timesteps
    delays = {p.name: max((j.delay for j in program.outgoing[p.name]), default=1) for p in program}
    return VALUE * sum(p.size * (delays[p.name] + 1) for p in program)


def of_costs(program: Program) -> int:
    """Bytes that the cost model takes for one sample: the events of every neuron and step."""
    return VALUE * program.timesteps * sum(p.size for p in program)


def of_compile(graph: Graph, samples: int) -> int:
    """Bytes that quantizing a graph in neuron form takes: weights twice, spikes of all samples."""
    weights = sum(
        value.size
        for node in graph
        for value in vars(node.op).values()
        if isinstance(value, np.ndarray)
    )
    sizes = [(n, int(np.prod(n.shape, dtype=object))) for n in graph]
    steps = samples * graph.timesteps
    spikes = sum(size for n, size in sizes if isinstance(n.op, SPIKING)) * steps
    entered = sum(size for n, size in sizes if isinstance(n.op, g.Input)) * steps
    return 2 * VALUE * weights + spikes + VALUE * entered
