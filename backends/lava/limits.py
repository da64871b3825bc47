"""What a run in Lava needs of the machine, asked before anything starts.

Every Lava process is an OS process. The constants were measured with lava-nc 0.10.0 on chains of
connection and neuron processes (N pairs need 20 N + 35 descriptors and 6.5 to 11 MB per process).
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from ...toolchain.ground import memory
from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Program
from .choose import choose
from .connections import RULES
from .group import SHARED_MEMORY

MAX_PROCESSES = 240
"""More have not been run: start time grows faster than the number (405 took 19 to 70 s)."""
BYTES_PER_PROCESS = 11 << 20
BASE_BYTES = 64 << 20
"""Python, numpy, scipy and Lava, loaded once."""
COPIES_OF_WEIGHTS = 4
"""The Program's, the Lava process's, the model's, and the one that clipping makes."""
CHANNEL_SLOTS = 4
"""Messages a Lava channel can hold (Lava's default is 64). Steps are in lockstep, so 1 is used."""
RECURSION = 10_000
"""Lava follows connections recursively, a few frames per process."""
LAYERWISE = "verify fewer layers at a time"


@dataclass(frozen=True)
class Need:
    """What one run needs. processes: OS processes; descriptors; and bytes of three kinds."""

    processes: int
    descriptors: int
    memory: int
    shared: int


def need(program: Program, *, recorded: bool = False) -> Need:
    """What `program` needs; `recorded`: with our sources and the process that records."""
    driven = sum(p.neuron.driven for p in program)
    cells = len(program.populations) - driven
    wires = len(program.projections)
    # the worker, Lava's runtime service, the manager and the tracker of shared memory
    processes = cells + wires + 4 + ((driven + 1) if recorded else 0)
    channels = 2 * wires + (len(program.populations) if recorded else 0)
    values = sum(program[j.pre].size + program[j.post].size for j in program.projections)
    values += sum(p.size for p in program) if recorded else 0
    weights = sum(_weight_bytes(program, k) for k in range(wires))
    return Need(
        processes,
        9 * processes + 2 * channels + 100,
        BASE_BYTES + processes * BYTES_PER_PROCESS + COPIES_OF_WEIGHTS * weights,
        4 * CHANNEL_SLOTS * values + 4096 * channels,
    )


def _weight_bytes(program: Program, index: int) -> int:
    j = program.projections[index]
    rule = RULES[type(j.connection)]
    return rule.stored(j.connection, choose(j, program[j.pre]))


def raise_soft(wanted: Need) -> None:
    """Raise this process's soft limits to what is needed. Raises BackendError (SFX-E503)."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted.descriptors:
        _check_descriptors(wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted.descriptors, hard))


def check(wanted: Need, files: int, folder: Path) -> None:
    """Refuse a run that this machine cannot hold; `files` bytes are written into `folder`.

    Raises BackendError: SFX-E502 too many processes, SFX-E503 descriptors, SFX-E504 memory,
    SFX-E505 shared memory or disk.
    """
    if wanted.processes > MAX_PROCESSES:
        raise BackendError(
            "SFX-E502",
            f"the network needs {wanted.processes} OS processes, one for each Lava process; "
            f"{MAX_PROCESSES} are the most that run in reasonable time",
            hint=LAYERWISE,
        )
    _check_descriptors(wanted)
    _check_bytes("SFX-E504", "memory", wanted.memory, memory.free())
    if SHARED_MEMORY.exists():
        free = psutil.disk_usage(str(SHARED_MEMORY)).free
        _check_bytes("SFX-E505", f"shared memory ({SHARED_MEMORY})", wanted.shared, free)
    free = psutil.disk_usage(str(folder)).free
    _check_bytes("SFX-E505", f"disk space in {folder} for the record", files, free)


def _check_descriptors(wanted: Need) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted.descriptors > hard:
        raise BackendError(
            "SFX-E503",
            f"the network needs {wanted.descriptors} file descriptors, but the hard limit is "
            f"{hard}",
            hint=f"raise it (ulimit -Hn {wanted.descriptors}), or {LAYERWISE}",
        )


def _check_bytes(code: str, what: str, needed: int, free: int) -> None:
    if needed > free:
        raise BackendError(
            code,
            f"the run needs about {_megabytes(needed)} of {what}, {_megabytes(free)} are free",
            hint=LAYERWISE,
        )


def _megabytes(count: int) -> str:
    return f"{count / (1 << 20):.0f} MB"
