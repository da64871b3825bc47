"""A Program layer by layer in model time, many lanes (samples) side by side.

Lanes share nothing. A projection with lag L brings what its pre sent L model steps earlier; what
was sent before the first step comes from `Past`. The balanced phases make this order equal to the
pipelined one, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfx.backends.fast import neurons
from sfx.backends.fast.neurons import State, Tally
from sfx.backends.fast.projections import LIMIT, Values, Wired
from sfx.toolchain.arith import IntArray, wrap32
from sfx.toolchain.ir.loops import groups, is_loop
from sfx.toolchain.ir.program import LIF, Clock, Input, Population, Program, Projection

Keep = Callable[[Population, Values, State | None], None]
"""Called with a population, what it sent [B, S, size], and its state after the last step."""


@dataclass(frozen=True, eq=False)
class Past:
    """What holds before the first step, the same in every lane; absent names: zeros.

    sent[name] [steps, size], the last one first model step - 1; state[name]: u, v [1, size].
    """

    sent: Mapping[str, IntArray] = field(default_factory=dict)
    state: Mapping[str, State] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Span:
    """Which steps are run: S of them; step i is model step i - origin (mod T counts).

    begin  step at which a population starts to compute; before it is silent
    """

    steps: int
    origin: int = 0
    begin: Mapping[str, int] = field(default_factory=dict)


class Prepared:
    """A Program readied for running. wide: all sums in 64 bits, no declared range is trusted."""

    def __init__(self, program: Program, *, wide: bool = False) -> None:
        self.program, self.wide = program, wide
        self.wired = {
            j.name: Wired(j, program[j.pre], program[j.post], wide=wide)
            for j in program.projections
        }
        self.groups = [(g, is_loop(program, g)) for g in groups(program)]
        place = {n: i for i, (g, _) in enumerate(self.groups) for n in g}
        self.last_use = {
            p.name: max((place[j.post] for j in program.outgoing[p.name]), default=place[p.name])
            for p in program
        }
        self.port_type = {p.name: self._port_type(p) for p in program}

    def _port_type(self, p: Population) -> Any:
        """int32 if no sum over the projections of a port can leave it, else int64."""
        if self.wide:
            return np.int64
        total = dict.fromkeys(p.neuron.ports, 0)
        for j in self.program.incoming[p.name]:
            total[j.port] += self.wired[j.name].bound
        return np.int32 if max(total.values(), default=0) < LIMIT else np.int64

    def sent_type(self, p: Population) -> Any:
        """Type that holds every value `p` sends."""
        if isinstance(p.neuron, LIF | Clock) or (
            isinstance(p.neuron, Input) and max(-p.low, p.high) < 128
        ):
            return np.int8
        return np.int64 if self.wide or max(-p.low, p.high) >= LIMIT else np.int32

    def lane_bytes(self, steps: int) -> int:
        """Most memory that one lane needs at a time, over the groups in order."""
        size = {p.name: p.size * np.dtype(self.sent_type(p)).itemsize * steps for p in self.program}
        alive, most = 0, 0
        for i, (group, _) in enumerate(self.groups):
            alive += sum(size[n] for n in group)
            # ports, one projection's sums and a copy of them in another order; u and v
            work = sum(self.program[n].size * (24 * steps + 16) for n in group)
            most = max(most, alive + work)
            alive -= sum(size[n] for n, last in self.last_use.items() if last == i)
        return most


def execute(
    ready: Prepared,
    x: IntArray,
    span: Span,
    past: Past,
    keep: Keep,
    tallies: Mapping[str, Tally],
) -> None:
    """Run all populations over `span` from x [B, S, *input shape]; hand each to `keep`.

    Adds to `tallies`, by population. Raises BackendError (SFX-E541) for values out of range.
    """
    run = _Run(ready, len(x), span, past, tallies)
    for i, (group, loop) in enumerate(ready.groups):
        run.group(group, loop, x)
        for n in group:
            keep(ready.program[n], run.sent[n], run.state.get(n))
        run.state.clear()
        for n in [n for n in run.sent if ready.last_use[n] <= i]:
            del run.sent[n]


class _Run:
    """The lanes while they run: what populations sent [B, S, size], as long as it is needed."""

    def __init__(
        self, ready: Prepared, lanes: int, span: Span, past: Past, tallies: Mapping[str, Tally]
    ) -> None:
        self.ready, self.program, self.span, self.past = ready, ready.program, span, past
        self.lanes, self.tallies = lanes, tallies
        self.sent: dict[str, Values] = {}
        self.state: dict[str, State] = {}

    def group(self, group: tuple[str, ...], loop: bool, x: IntArray) -> None:
        """One population, or the populations of a loop together step by step."""
        for n in group:
            self._start(self.program[n])
        first = self.program[group[0]]
        if isinstance(first.neuron, Input):
            self._events(first, x.reshape(self.lanes, self.span.steps, -1))
        elif isinstance(first.neuron, Clock):
            self._clock(first)
        elif loop:
            self._loop(group)
        elif not self._silent(first):
            begin = self.span.begin.get(first.name, 0)
            self._steps(first, self._ports(first, frozenset()), slice(begin, self.span.steps))

    def _start(self, p: Population) -> None:
        shape = (self.lanes, self.span.steps, p.size)
        self.sent[p.name] = np.zeros(shape, dtype=self.ready.sent_type(p))
        if isinstance(p.neuron, LIF):
            before = self.past.state.get(p.name)
            zero = np.zeros((1, p.size), dtype=np.int64)
            u, v = (zero, zero) if before is None else (before.u, before.v)
            self.state[p.name] = State(
                np.repeat(u, self.lanes, axis=0), np.repeat(v, self.lanes, axis=0)
            )

    def _events(self, p: Population, x: IntArray) -> None:
        self.sent[p.name][:] = x
        self.tallies[p.name].events[:] += np.count_nonzero(x, axis=0)

    def _clock(self, p: Population) -> None:
        span, period = self.span, self.program.timesteps
        i = np.arange(span.steps)
        ticks = ((i - span.origin) % period == period - 1) & (i >= span.begin.get(p.name, 0))
        self.sent[p.name][:] = ticks[:, None]
        self.tallies[p.name].events[:] += self.lanes * ticks[:, None]

    def _silent(self, p: Population) -> bool:
        """True if nothing arrives and nothing is driven from within: all stays zero."""
        if isinstance(p.neuron, LIF) and (p.name in self.past.state or neurons.bias_of(p).any()):
            return False
        return not any(
            self.sent[j.pre].any() or (j.lag > 0 and j.pre in self.past.sent)
            for j in self.program.incoming[p.name]
        )

    def _ports(self, p: Population, within: frozenset[str]) -> dict[str, Values]:
        """Input by port [B, S, size] from all populations that are not in `within`."""
        shape = (self.lanes, self.span.steps, p.size)
        ports: dict[str, Values] = {}
        for j in self.program.incoming[p.name]:
            if j.pre in within:
                continue
            s = self._arriving(j)
            a = self.ready.wired[j.name](s.reshape(-1, s.shape[-1])).reshape(shape)
            kind = self.ready.port_type[p.name]
            if j.port not in ports:
                ports[j.port] = np.ascontiguousarray(a, dtype=kind)
            else:
                ports[j.port] += a
        for name in p.neuron.ports:
            if name not in ports:
                ports[name] = np.zeros(shape, dtype=self.ready.port_type[p.name])
        return ports

    def _arriving(self, j: Projection) -> Values:
        """What pre sent `lag` steps before each step [B, S, pre size]."""
        s = self.sent[j.pre]
        if j.lag == 0:
            return s
        steps = self.span.steps
        out = np.zeros_like(s)
        if j.lag < 0:  # read early: silent after the last step run (check_program)
            out[:, : max(steps + j.lag, 0)] = s[:, -j.lag :]
            return out
        out[:, j.lag :] = s[:, : max(steps - j.lag, 0)]
        for t in range(min(j.lag, steps)):
            out[:, t] = self._before(j, t, s.dtype)
        return out

    def _before(self, j: Projection, t: int, kind: Any) -> Values:
        """What pre sent at step t - lag < 0 [size]: from the past."""
        old = self.past.sent.get(j.pre)
        back = j.lag - t
        if old is None or back > len(old):
            return np.zeros(self.program[j.pre].size, dtype=kind)
        before: Values = old[-back].astype(kind)
        return before

    def _steps(self, p: Population, ports: Mapping[str, Values], steps: slice) -> None:
        ready = self.ready
        shaped = {
            n: wrap32(a[:, steps]) if ready.port_type[p.name] is np.int64 else a[:, steps]
            for n, a in ports.items()
        }
        neurons.steps(
            p, shaped, self.state.get(p.name), self.span.origin - steps.start,
            self.program.timesteps, self.sent[p.name][:, steps], self.tallies[p.name].at(steps),
            checked=not ready.wide,
        )  # fmt: skip

    def _loop(self, group: tuple[str, ...]) -> None:
        within = frozenset(group)
        ports = {n: self._ports(self.program[n], within) for n in group}
        inner = {n: [j for j in self.program.incoming[n] if j.pre in within] for n in group}
        for t in range(self.span.steps):
            for n in group:
                if t < self.span.begin.get(n, 0):
                    continue
                for j in inner[n]:
                    s = self.sent[j.pre]
                    if t >= j.lag:
                        now = s[:, t - j.lag]
                    else:
                        now = np.repeat(self._before(j, t, s.dtype)[None], self.lanes, axis=0)
                    ports[n][j.port][:, t] += self.ready.wired[j.name](now)
                self._steps(self.program[n], ports[n], slice(t, t + 1))
