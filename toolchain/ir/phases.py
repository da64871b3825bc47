"""Phases of a Program: at which hardware step each population computes a sample's first step."""

from __future__ import annotations

from dataclasses import replace

from ..ground.errors import UnsupportedError
from .program import Clock, Program, Projection


def phases_of(program: Program) -> dict[str, int]:
    """The least phases with phase(post) >= phase(pre) + 1 - lag for every projection.

    A clock comes as late as its first reader allows, and never before phase 1. Raises
    UnsupportedError (SFX-E320) for a loop that does not fit at one model step per hardware step.
    """
    return _clocks_late(program, _earliest(program))


def in_phase_order(program: Program) -> Program:
    """The populations in the order of their phases, which is that of a balanced Program.

    A projection with lag 0 or less leads to a later phase, so producers come first. Raises as
    `phases_of`.
    """
    phases = phases_of(program)
    order = sorted(program.populations, key=lambda p: phases[p.name])
    return replace(program, populations=tuple(order))


def _earliest(program: Program) -> dict[str, int]:
    """Longest paths with length 1 - lag per projection; clocks start at 1, all others at 0."""
    phases = {p.name: int(isinstance(p.neuron, Clock)) for p in program}
    via: dict[str, Projection] = {}
    for _ in program.populations:
        late = [j for j in program.projections if phases[j.post] < phases[j.pre] + 1 - j.lag]
        if not late:
            return phases
        for j in late:
            earliest = phases[j.pre] + 1 - j.lag
            if phases[j.post] < earliest:
                phases[j.post] = earliest
                via[j.post] = j
    late = [j for j in program.projections if phases[j.post] < phases[j.pre] + 1 - j.lag]
    if late:
        raise _loop_error(_loop(via, late[0].post))
    return phases


def _loop(via: dict[str, Projection], start: str) -> list[Projection]:
    """The projections of the loop that pushes `start` later without end."""
    name, seen = start, set()
    while name not in seen:
        seen.add(name)
        name = via[name].pre
    loop = [via[name]]
    while loop[-1].pre != name:
        loop.append(via[loop[-1].pre])
    return loop[::-1]


def _loop_error(loop: list[Projection]) -> UnsupportedError:
    path = " -> ".join([loop[0].pre, *(j.post for j in loop)])
    steps = sum(j.lag for j in loop)
    return UnsupportedError(
        "SFX-E320",
        f"the loop {path} takes {len(loop)} hardware steps, one per projection, but carries "
        f"spikes over {steps} model step{'' if steps == 1 else 's'} only",
        where=loop[0].pre,
        hint="one model step takes one hardware step, so a loop fits only if each of its "
        "projections carries one model step: feed the population back onto itself, or give "
        "the model longer delays in the loop",
    )


def _clocks_late(program: Program, phases: dict[str, int]) -> dict[str, int]:
    """Move every clock to one step before its first reader."""
    late = dict(phases)
    for p in program:
        readers = [phases[j.post] + j.lag for j in program.outgoing[p.name]]
        if isinstance(p.neuron, Clock) and readers:
            late[p.name] = min(readers) - 1
    return late
