"""Model steps, layer by layer: the same integers without delays, phases or hardware steps.

The independent statement of what the pipelined Program must compute. A projection with lag L
brings what its pre sent at model step tau - L; samples follow each other without a gap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.loops import groups, is_loop
from ...toolchain.ir.program import Clock, Population, Program, Projection
from . import neurons, synapses
from .types import Ports, Synapses


def run(program: Program, x: IntArray) -> dict[str, IntArray]:
    """What every population sends [K, T, *shape], from x [K, T, *input shape]."""
    samples, timesteps = x.shape[:2]
    rules = synapses.build_all(program)
    x = neurons.encoded(program.input, x)
    sent: dict[str, IntArray] = {}  # [K*T, *shape]

    def arriving(j: Projection) -> IntArray:
        return _lagged(sent[j.pre], j.lag, periodic=isinstance(program[j.pre].neuron, Clock))

    for group in groups(program):
        if is_loop(program, group):
            sent |= _loop(program, group, rules, sent, samples * timesteps)
            continue
        p = program[group[0]]
        driven = neurons.host(p.neuron)
        if driven is not None:
            now = replace(p, phase=0)
            steps = [driven.sends(x, now, t, timesteps) for t in range(timesteps)]
            sent[p.name] = np.stack(steps, axis=1).reshape(samples * timesteps, *p.shape)
        else:
            ports = synapses.gather(program, p, rules, arriving, samples * timesteps)
            sent[p.name] = _steps(program, p, ports, samples)
    return {p.name: sent[p.name].reshape(samples, timesteps, *p.shape) for p in program}


def _lagged(s: IntArray, lag: int, *, periodic: bool) -> IntArray:
    """s [N, ...] moved `lag` model steps later; zeros before the first step, but for a clock.

    A negative lag moves it earlier, and zeros follow the last step: what is read early is silent
    but at the last step of a sample (`sfx.toolchain.ir.check_program.lags_are_cleared`).
    """
    if lag == 0 or periodic:
        return np.roll(s, lag, axis=0)
    if lag < 0:
        early: IntArray = np.concatenate([s[-lag:], np.zeros_like(s[:-lag])])[: len(s)]
        return early
    return np.concatenate([np.zeros_like(s[:lag]), s[:-lag]])


def _steps(program: Program, p: Population, ports: Ports, samples: int) -> IntArray:
    """Run one population over all its steps, samples side by side where each starts anew."""
    timesteps, widths = program.timesteps, program.arithmetic
    if p.stateful:
        lanes, steps = samples, timesteps
    else:
        lanes, steps = 1, samples * timesteps
    shaped = {k: a.reshape(lanes, steps, *p.shape) for k, a in ports.items()}
    state = neurons.initial(p.neuron, (lanes, *p.shape))
    out = np.empty((lanes, steps, *p.shape), dtype=np.int64)
    for t in range(steps):
        now = {k: a[:, t] for k, a in shaped.items()}
        state, out[:, t] = neurons.step(p.neuron, state, now, widths)
    return out.reshape(samples * timesteps, *p.shape)


def _loop(
    program: Program,
    group: tuple[str, ...],
    rules: dict[str, Synapses],
    sent: dict[str, IntArray],
    steps: int,
) -> dict[str, IntArray]:
    """Run the populations of one loop together, model step by model step."""
    out = {n: np.zeros((steps, *program[n].shape), dtype=np.int64) for n in group}
    state = {n: neurons.initial(program[n].neuron, (1, *program[n].shape)) for n in group}
    everything = sent | out
    for tau in range(steps):

        def arriving(j: Projection, tau: int = tau) -> IntArray:
            s = everything[j.pre]
            at = tau - j.lag
            if isinstance(program[j.pre].neuron, Clock):
                at %= steps  # its ticks repeat, also before the first step
            return s[at][None] if 0 <= at < steps else np.zeros_like(s[:1])

        for n in group:
            p = program[n]
            if p.stateful and tau % program.timesteps == 0:
                state[n] = neurons.initial(p.neuron, (1, *p.shape))
            ports = synapses.gather(program, p, rules, arriving, 1)
            state[n], s = neurons.step(p.neuron, state[n], ports, program.arithmetic)
            out[n][tau] = s[0]
    return out
