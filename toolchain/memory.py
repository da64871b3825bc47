"""What a thing will take of memory, asked before it starts: refused with the number, not killed.

The estimates are lower bounds, arrays that must exist at one time, so what is refused could not
have run; what is let through may still need more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil

from sfx.toolchain import control_groups
from sfx.toolchain.errors import InputError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import SPIKING
from sfx.toolchain.ir.graph import Graph
from sfx.toolchain.ir.program import LIF, Program

VALUE = 8
"""Bytes of a recorded value, int64 or float64."""
RECORD = 8 << 30
"""Bytes of spikes that are recorded for a picture: some minutes of the reference."""


def free() -> int:
    """Bytes that this process may still take: of the machine, its control groups, its own limits.

    RLIMIT_AS limits addresses, RLIMIT_DATA what is private and writable.
    """
    found = [psutil.virtual_memory().available, *control_groups.left()]
    try:
        import resource
    except ImportError:  # not on Windows
        return min(found)
    taken = psutil.Process().memory_info()
    for limit, used in ((resource.RLIMIT_AS, taken.vms), (resource.RLIMIT_DATA, _data(taken))):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            found.append(soft - used)
    return max(0, min(found))


def _data(taken: Any) -> int:
    """Private writable bytes where the system counts them, else what is resident."""
    return int(getattr(taken, "data", taken.rss))


def require(needed: int, what: str, *, where: str = "", allowed: int | None = None) -> None:
    """Raise InputError (SFX-E605) if `needed` bytes are more than `allowed`, or than are free."""
    there = free()
    limit = there if allowed is None else min(allowed, there)
    if needed <= limit:
        return
    told = f"{text(there)} are free" if limit == there else f"--memory allows {text(limit)}"
    raise InputError(
        "SFX-E605",
        f"{what} needs at least {text(needed)} of memory, {told}",
        where=where,
        hint="fewer samples (--limit), a smaller model, or a machine with more memory",
    )


def text(count: int) -> str:
    """Bytes as a reader takes them in."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MB"


def of_record(program: Program, steps: int, states: bool) -> int:
    """Bytes of what every population sends for so many steps, and of u and v."""
    sent = sum(p.size for p in program)
    kept = 2 * sum(p.size for p in program if isinstance(p.neuron, LIF)) if states else 0
    return VALUE * steps * (sent + kept)


def recordable(program: Program, most: int) -> tuple[int, str]:
    """How many of `most` samples can be recorded for a picture, and why not one, if none can.

    RECORD bytes at most, and half of the memory that is free.
    """
    allowed = min(RECORD, free() // 2)
    need = 0
    for count in range(most, 0, -1):
        need = of_record(program, count * program.timesteps + program.last_phase, states=False)
        if need <= allowed:
            return count, ""
    return 0, f"the record of a sample takes {text(need)}, more than {text(allowed)}"


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
