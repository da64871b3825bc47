"""Which steps before model step 0 matter: the lead-in, which is the same for every sample.

Every population computes from hardware step 0 on, thus from model step -phase on. A bias may drive
neurons there; what is left over is the state of neurons without a reset, and what a recurrent
projection brings into model step 0. Only the steps that this depends on are run (`steps_needed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from ....toolchain.ground.arith import INPUT_SHIFT
from ....toolchain.ir.program import (
    LI,
    LIF,
    Clock,
    Input,
    Population,
    Program,
    Projection,
)
from ..neurons.lif import bias_of
from .prepared import Prepared
from .projections import LIMIT

Lags = Mapping[str, int]
"""How many of the last steps before model step 0 matter of what each population sends."""


def lags_that_matter(program: Program, ready: Prepared) -> Lags:
    """Of what each population sends before model step 0, what a later step reads."""
    lags = {
        p.name: max(
            (0, *(j.lag for j in program.outgoing[p.name] if not _cancels(program, ready, j)))
        )
        for p in program
    }
    for c in ready.contracted.values():
        if c.both:  # a coincidence neuron keeps its input for a step
            lags |= {n: max(lags[n], 1) for n in (c.a.name, c.b.name)}
    return lags


def _cancels(program: Program, ready: Prepared, j: Projection) -> bool:
    """Of an accumulator that the tick at step -1 clears: what it brings itself to step 0 is 0."""
    a = ready.accumulators.get(j.pre)
    return a is not None and j.post in (a.memory, a.clear) and _ticked(program, a.tick.pre)


def _ticked(program: Program, name: str) -> bool:
    """A clock, or a relay of it, has sent the tick at model step -1."""
    return program[name].phase > 0 and all(_ticked(program, j.pre) for j in program.incoming[name])


def steps_needed(program: Program, ready: Prepared, lags: Lags) -> dict[str, int]:
    """Last steps before model step 0 that each population has to run, at most its phase.

    A reset, of the sample before, forgets all that was earlier; so does a neuron whose state is
    gone after a step. A loop remembers everything; of an accumulator that is what it receives.
    Where nothing can have arrived yet (`steps_active`) nothing is run.
    """
    last, read, most = dict[str, int](), dict[str, int](), steps_active(program, ready)
    for group, loop in reversed(ready.groups):
        each = [min(_wanted(program, ready, program[n], lags[n], read), most[n]) for n in group]
        wanted = max(each)  # a loop runs together
        steps = [min(_steps(program, ready, program[n], wanted, loop), most[n]) for n in group]
        read |= dict.fromkeys(group, max(steps))
        last |= dict.fromkeys(group, wanted if group[0] in ready.accumulators else max(steps))
    return last


def steps_active(program: Program, ready: Prepared) -> dict[str, int]:
    """Last steps before model step 0 at which a population may send or hold anything but zeros.

    Only a bias and the clock begin something there, and both only once their neurons compute.
    """
    most: dict[str, int] = {}
    for group, loop in ready.groups:
        if loop:
            members = [program[n] for n in group]
            outer = [j for p in members for j in program.incoming[p.name] if j.pre not in group]
            driven = max((most[j.pre] - j.lag for j in outer), default=0)
            if any(n in ready.biased for n in group):
                driven = max(p.phase for p in members)
            most |= {p.name: max(0, min(driven, p.phase)) for p in members}
            accumulator = ready.accumulators.get(group[0])
            if accumulator is not None:  # the clear sends where the clock ticks
                clear, tick = accumulator.clear, accumulator.tick
                most[clear] = max(0, min(most[clear], most[tick.pre] - tick.lag))
        else:
            most[group[0]] = _active(program, ready, program[group[0]], most)
    return most


def _active(program: Program, ready: Prepared, p: Population, most: Mapping[str, int]) -> int:
    """The same for a population that does not drive itself."""
    if isinstance(p.neuron, Clock):  # ticks at -1, -1 - T, ... from where it computes
        period = p.neuron.period(program.timesteps)
        return 1 + (p.phase - 1) // period * period if p.phase else 0
    if p.name in ready.biased:
        return p.phase
    c = ready.contracted.get(p.name)
    if c is not None:  # one alone makes nothing
        driven = min(most[c.a.name], most[c.b.name])
    else:
        ports = dict.fromkeys(p.neuron.ports, 0)
        for j in program.incoming[p.name]:
            ports[j.port] = max(ports[j.port], most[j.pre] - j.lag)
        all_needed = p.neuron.quiet
        driven = (min if all_needed else max)(ports.values(), default=0)
    return max(0, min(driven, p.phase))


def _wanted(
    program: Program, ready: Prepared, p: Population, lag: int, read: Mapping[str, int]
) -> int:
    """Last steps of which it matters what p sends, or what state it is in at their end.

    read: last steps of which it matters what a population receives; absent: of the same loop.
    """
    readers = [read[j.post] + j.lag for j in program.outgoing[p.name] if read.get(j.post, 0)]
    state = p.name not in ready.contracted and keeps_state(p)
    return max(lag, int(state), *readers, 0)


def keeps_state(p: Population) -> bool:
    """True if no reset clears its state."""
    return isinstance(p.neuron, LIF) and not p.neuron.reset


def _steps(program: Program, ready: Prepared, p: Population, wanted: int, loop: bool) -> int:
    """Steps to run for `wanted` steps that are right."""
    if not wanted:
        return 0
    if loop or (keeps_state(p) and not _forgets(program, ready, p)):
        return p.phase
    if isinstance(p.neuron, LI) or (isinstance(p.neuron, LIF) and p.neuron.reset):
        wanted = -(-wanted // program.timesteps) * program.timesteps
    return min(wanted, p.phase)


def _forgets(program: Program, ready: Prepared, p: Population) -> bool:
    """True if nothing of u, v is left a step later: full decay, and |v| < 4096 (at 12 bits) always.

    Only of what receives 0 and 1: other ranges need to hold from model step 0 on only.
    """
    n, reads = p.neuron, program.incoming[p.name]
    assert isinstance(n, LIF)
    widths = program.arithmetic
    if (n.du, n.dv) != (widths.full_decay, widths.full_decay):
        return False
    pres = [program[j.pre].neuron for j in reads]
    if not all(pre.binary or isinstance(pre, Input) for pre in pres):
        return False
    largest = (ready.bound[p.name] << INPUT_SHIFT) + int(np.abs(bias_of(p)).max(initial=0))
    return largest < widths.decay_unity


def with_longer_loops(program: Program, ready: Prepared) -> Program:
    """`program` with the ranges of loops that run as long as the pipeline takes to fill.

    The clock may reach an accumulator too late to clear it before step 0. These ranges are no
    proof, but the run checks them.
    """
    times = 1 + -(-program.last_phase // program.timesteps)
    factor: dict[str, int] = {}
    for group, loop in ready.groups:
        new = {n: _factor(program, program[n], factor) for n in group}
        most = times * max(new.values()) if loop else 1
        factor |= {n: max(f, most) if program[n].graded else 1 for n, f in new.items()}
    if all(f == 1 for f in factor.values()):
        return program
    return replace(program, populations=tuple(_scaled(p, factor[p.name]) for p in program))


def _factor(program: Program, p: Population, known: Mapping[str, int]) -> int:
    """How much larger than declared what p computes may be, from what it receives."""
    if p.neuron.binary or p.neuron.driven:
        return 1
    ports = dict.fromkeys(p.neuron.ports, 1)
    for j in program.incoming[p.name]:
        ports[j.port] = max(ports[j.port], known.get(j.pre, 1))
    return prod(ports.values())


def _scaled(p: Population, factor: int) -> Population:
    if factor == 1:
        return p
    low, high = max(p.low * factor, -LIMIT), min(p.high * factor, LIMIT - 1)
    return replace(p, low=low, high=high)
