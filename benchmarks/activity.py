"""A Program whose LIF populations fire at a chosen rate: thresholds set layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sfx.backends.fast.plan.prepared import Prepared
from sfx.backends.fast.plan.spans import Span
from sfx.backends.fast.run.arena import Arena
from sfx.backends.fast.run.execute import Run
from sfx.backends.fast.run.state import InitialConditions, State
from sfx.backends.fast.run.tallies import tallies_of
from sfx.toolchain.ir.program import LIF, Population, Program

HIGHEST = (1 << 17) - 1


class _Setting(Run):
    """A run in which every LIF population with a reset gets the threshold it needs."""

    rate: float
    found: dict[str, int]

    def _steps(self, p: Population, ports: Mapping[str, np.ndarray], steps: slice) -> None:
        if not isinstance(p.neuron, LIF) or not p.neuron.reset:
            super()._steps(p, ports, steps)
            return
        low, high = 0, HIGHEST
        while low < high:
            middle = (low + high) // 2
            self._try(p, middle, ports, steps)
            fires = self.sent[p.name].values.mean()
            low, high = (middle + 1, high) if fires > self.rate else (low, middle)
        self.found[p.name] = low
        self._try(p, low, ports, steps)

    def _try(self, p: Population, vth: int, ports: Mapping[str, np.ndarray], steps: slice) -> None:
        state = self.state[p.name]
        self.state[p.name] = State(np.zeros_like(state.u), np.zeros_like(state.v))
        tried = replace(p, neuron=replace(p.neuron, vth=vth))
        self.ready.neurons[p.name] = replace(self.ready.neurons[p.name], population=tried)
        super()._steps(p, ports, steps)


def with_rate(program: Program, x: np.ndarray, rate: float) -> Program:
    """`program` with thresholds such that each LIF population fires at `rate` on x [K, T, ...].

    Residual sums, ORs of a pool and attention counts follow from them and are fuller.
    """
    ready = Prepared(program)
    ready.fused.clear()  # neurons apart from the convolution before them
    span, tallies = Span(program.timesteps), tallies_of(ready, program.timesteps)
    run = _Setting(ready, len(x), span, InitialConditions(), tallies, Arena())
    run.rate, run.found = rate, {}
    for i, (group, loop) in enumerate(ready.groups):
        if group[0] not in ready.contracted:
            run.group(group, loop, x)
        for n in [n for n in run.sent if ready.last_use[n] <= i]:
            del run.sent[n]
    populations = tuple(
        replace(p, neuron=replace(p.neuron, vth=run.found[p.name])) if p.name in run.found else p
        for p in program
    )
    return replace(program, populations=populations)


def with_activity(program: Program, x: np.ndarray, activity: float) -> Program:
    """`program` at the LIF rate at which weights meet a share `activity` of nonzero values."""
    from sfx.backends.fast.backend import FastBackend

    low, high, found = 0.0, activity, program
    for _ in range(7):
        rate = (low + high) / 2
        found = with_rate(program, x, rate)
        events = FastBackend().run(found, x).counts.events
        share = read_share(found, events, len(x))
        if abs(share - activity) < 0.02 * activity:
            break
        low, high = (rate, high) if share < activity else (low, rate)
    return found


def read_share(program: Program, events: Mapping[str, np.ndarray], samples: int) -> float:
    """Share of values that are not 0 among those that weights meet, by multiply-add."""
    from sfx.toolchain.compiler.cost.synops import fan_out
    from sfx.toolchain.ir.program import Conv2d, Dense

    met = used = 0
    for j in program.projections:
        if isinstance(j.connection, Conv2d | Dense) and getattr(j.connection, "groups", 1) == 1:
            fan = fan_out(program, j)
            met += int(fan.sum()) * program.timesteps * samples
            used += int(events[j.pre].reshape(program.timesteps, -1).sum(axis=0) @ fan)
    return used / met
