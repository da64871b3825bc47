"""A Program layer by layer in model time, many lanes (samples) side by side.

Lanes share nothing. A projection with lag L brings what its pre sent L model steps earlier; what
was sent before the first step comes from `InitialConditions`. The balanced phases make this order
equal to the pipelined one, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import LIF, Clock, Input, Population, Projection
from ..layout import C_ORDER, Values, arranged
from ..neurons import RULES
from ..neurons.lif import decays_of
from ..plan import accumulators, contractions
from ..plan.convolutions import PairConv
from ..plan.prepared import Prepared
from ..plan.spans import Span, Window
from ..rules import Host, Resets
from . import neurons
from .arena import Arena
from .arrivals import add, drive, put
from .pair_sums import pair_sums
from .sent import Sent
from .state import InitialConditions, State
from .tallies import PairTally, Tally

Keep = Callable[[Population, Sent, State | None], None]
"""Called with a population, what it sent, and its state after the last step (in C order)."""
Tallies = Mapping[str, Tally | PairTally]


def execute(
    ready: Prepared,
    x: IntArray,
    span: Span,
    initial: InitialConditions,
    keep: Keep,
    tallies: Tallies | None,
    arena: Arena,
) -> None:
    """Run all populations over `span` from x [B, S, *input shape]; hand each to `keep`.

    Adds to `tallies`, by population, if there are any. arena: working memory. Raises BackendError
    (SFX-E541) for values out of range.
    """
    run = Run(ready, len(x), span, initial, tallies, arena)
    for i, (group, loop) in enumerate(ready.groups):
        if not span.of(group[0]):
            continue
        if group[0] in ready.contracted:
            if tallies is not None:
                run.count_pairs(ready.contracted[group[0]], tallies)
            continue
        run.group(group, loop, x)
        for n in group:
            keep(ready.program[n], run.sent[n], run.state.get(n))
        run.state.clear()
        for n in [n for n in run.sent if ready.last_use[n] <= i]:
            del run.sent[n]


class Run:
    """The lanes while they run: what populations sent [B, S, size], as long as it is needed."""

    def __init__(
        self,
        ready: Prepared,
        lanes: int,
        span: Span,
        initial: InitialConditions,
        tallies: Tallies | None,
        arena: Arena,
    ) -> None:
        self.ready, self.program, self.span, self.initial = ready, ready.program, span, initial
        self.lanes, self.tallies, self.arena = lanes, tallies, arena
        self.in_loop = False
        self.sent: dict[str, Sent] = {}
        self.state: dict[str, State] = {}

    def count_pairs(self, c: contractions.Contraction, tallies: Tallies) -> None:
        """The counts of a population that is not simulated."""
        tally = tallies[c.name]
        assert isinstance(tally, PairTally)
        a, b = self.sent[c.a.name], self.sent[c.b.name]
        tally.add(a.values, b.values, (a.layout, b.layout))

    def group(self, group: tuple[str, ...], loop: bool, x: IntArray) -> None:
        """One population, or the populations of a loop together step by step."""
        first = self.program[group[0]]
        quiet = loop or (not first.neuron.driven and self._silent(first))
        for n in group:
            self._start(self.program[n], quiet)
        if isinstance(first.neuron, Input):
            self._events(first, x.reshape(self.lanes, self.span.of(first.name), -1))
        elif isinstance(first.neuron, Clock):
            self._clock(first)
        elif (
            loop and group[0] in self.ready.accumulators and not set(group) & set(self.initial.sent)
        ):
            if not all(map(self._silent, map(self.program.__getitem__, group))):
                self._accumulate(self.ready.accumulators[group[0]])
        elif loop:
            self._loop(group)
        elif not quiet:
            main = self.ready.fused.get(first.name)
            if main is not None and self.span.of(main.pre) and not self._keeps_state(first):
                self._fused(first, main)
                return
            ports = self._ports(first, lambda j: True)
            if isinstance(first.neuron, LIF):
                self._begin_state(first, self._largest(first, ports["a_in"]))
            self._steps(first, ports, slice(self.span.begin(first), self.span.of(first.name)))

    def _keeps_state(self, p: Population) -> bool:
        """True if u and v are there before the first step, or wanted after the last."""
        assert isinstance(p.neuron, LIF)
        return p.name in self.initial.state or (self.span.last is not None and not p.neuron.reset)

    def _fused(self, p: Population, main: Projection) -> None:
        """LIF neurons together with the convolution `main`; all else into their port before."""
        ready, n = self.ready, p.neuron
        assert isinstance(n, LIF)
        conv = ready.projections[main.name].convolution
        assert isinstance(conv, PairConv)
        others = len(self.program.incoming[p.name]) > 1
        extra = self._ports(p, lambda j: j is not main)["a_in"] if others else None
        begin, tally = self.span.begin(p), self._tally(p)
        drive(
            conv, self._arriving(main, self.span.window(p.name)), extra, ready.bias[p.name],
            decays_of(n, np.int32, ready.bound[p.name], self.program.arithmetic),
            self.span.origin(p.name), self.program.timesteps if n.reset else 0, begin,
            self.sent[p.name].values, tally.events, tally.active,
        )  # fmt: skip

    def _largest(self, p: Population, port: Values) -> int:
        """No input is larger: as proved from the ranges, or else as measured."""
        bound = self.ready.bound[p.name]
        if self.ready.wide or port.dtype != np.int32 or self.ready.narrow(p, bound):
            return bound
        return neurons.largest(port)

    def _start(self, p: Population, quiet: bool) -> None:
        """Memory for what `p` sends: zeros if `quiet`, else where it does not compute yet."""
        shape = (self.lanes, self.span.of(p.name), p.size)
        layout, kind = self.ready.layout[p.name], self.ready.sent_type(p)
        values = np.zeros(shape, kind) if quiet else np.empty(shape, kind)
        values[:, : self.span.begin(p)] = 0
        self.sent[p.name] = Sent(values, layout)
        self._tally(p).reserve(self.lanes)

    def _begin_state(self, p: Population, bound: int) -> None:
        """u and v before the first step, in 32 bits if inputs of at most `bound` allow it."""
        before = self.initial.state.get(p.name)
        shape, layout = (self.lanes, p.size), self.ready.layout[p.name]
        u_before = 0 if before is None else int(np.abs(before.u).max())
        small = self.ready.narrow(p, bound) and u_before <= self.program.arithmetic.state_limit
        kind = np.int32 if small else np.int64
        if small and not self.in_loop and not self._keeps_state(p):
            shape = 0, p.size  # the kernel begins with zeros
        u, v = (self.arena.empty(f"{p.name if self.in_loop else ''}{n}", shape, kind) for n in "uv")
        u[...] = 0 if before is None else arranged(before.u, C_ORDER, layout)
        v[...] = 0 if before is None else arranged(before.v, C_ORDER, layout)
        self.state[p.name] = State(u, v)

    def _tally(self, p: Population) -> Tally:
        if self.tallies is None:  # nobody looks at it
            return Tally(self.span.of(p.name), p.shape, self.ready.layout[p.name])
        tally = self.tallies[p.name]
        assert isinstance(tally, Tally)
        return tally

    def _events(self, p: Population, x: IntArray) -> None:
        rule = RULES[type(p.neuron)]
        assert isinstance(rule, Host), "the host drives the input"
        x = rule.encoded(p, x)
        self.sent[p.name].values[:] = x
        self._tally(p).events[:] += np.count_nonzero(x, axis=0).astype(np.uint8)

    def _clock(self, p: Population) -> None:
        assert isinstance(p.neuron, Clock)
        span, period = self.span, p.neuron.period(self.program.timesteps)
        i = np.arange(span.of(p.name))
        ticks = ((i - span.origin(p.name)) % period == period - 1) & (i >= span.begin(p))
        self.sent[p.name].values[:] = ticks[:, None]
        self._tally(p).events[:] += (self.lanes * ticks[:, None]).astype(np.uint8)

    def _silent(self, p: Population) -> bool:
        """True if nothing arrives and nothing is driven from within: all stays zero."""
        if p.name in self.initial.state or p.name in self.ready.biased:
            return False
        return not any(
            self._sends(j.pre) or (j.lag > 0 and j.pre in self.initial.sent)
            for j in self.program.incoming[p.name]
        )

    def _sends(self, name: str) -> bool:
        c = self.ready.contracted.get(name)
        if c is not None:
            return self._sends(c.a.name) and self._sends(c.b.name)
        return name in self.sent and self.sent[name].any

    def _ports(
        self,
        p: Population,
        wanted: Callable[[Projection], bool],
        window: Window | None = None,
    ) -> dict[str, Values]:
        """Input by port [B, S, size] from all projections that are `wanted`."""
        window = window or self.span.window(p.name)
        shape, layout = (self.lanes, window.steps, p.size), self.ready.layout[p.name]
        kind = self.ready.port_type(p)
        place = p.name if self.in_loop else ""
        ports = {n: self.arena.empty(f"{place}:{n}", shape, kind) for n in p.neuron.ports}
        fresh = set(ports)
        for j in self.program.incoming[p.name]:
            if not wanted(j) or not self.span.of(j.pre):
                continue
            c = self.ready.contracted.get(j.pre)
            new = j.port in fresh
            if c is not None:
                pairs = self._pairs(c, j, window)
                put(ports[j.port], arranged(pairs, C_ORDER, layout).reshape(shape), new)
            elif j.lag < 0 and self.ready.projections[j.name].same:
                self._add_early(j, ports[j.port], window, new)
            else:
                arriving = self._arriving(j, window)
                add(self.ready.projections[j.name], arriving, ports[j.port], layout, new)
            fresh.discard(j.port)
        for n in fresh:
            ports[n].fill(0)
        return ports

    def _pairs(self, c: contractions.Contraction, j: Projection, window: Window) -> Values:
        """What `j` brings from a population that is not simulated [B*S, size]."""
        planned = self.ready.projections[j.name]
        a, b = (self._shifted(o.name, window) for o in (c.a, c.b))
        return planned.scale(pair_sums(c, self.ready.reading[j.name], a, b, planned.sums))

    def _add_early(self, j: Projection, port: Values, window: Window, fresh: bool) -> None:
        """As `add`, step by step for the few at which a sample's total is sent."""
        if fresh:
            port.fill(0)
        sent, layout = self.sent[j.pre], self.ready.layout[j.post]
        ahead = self.span.origin(j.pre) - window.origin - j.lag
        for s in np.flatnonzero(sent.active_steps):
            if 0 <= s - ahead < window.steps:
                values = arranged(sent.values[:, s], sent.layout, layout)
                brought = self.ready.projections[j.name].scaled(values, port.dtype)
                put(port[:, s - ahead], brought, False)

    def _arriving(self, j: Projection, window: Window) -> Sent:
        """What pre sent `lag` steps before each step of post."""
        arriving = self._shifted(j.pre, window, j.lag)
        if j.lag > 0 and self.span.last is None:
            s = arriving.values
            for t in range(min(j.lag, s.shape[1])):
                s[:, t] = arranged(self._before(j, t, s.dtype), C_ORDER, arriving.layout)
        return arriving

    def _shifted(self, pre: str, window: Window, lag: int = 0) -> Sent:
        """What pre sent `lag` steps before each step of the window; zeros where it did not run.

        What is read early (lag < 0) is silent after the last step run (check_program).
        """
        span, sent = self.span, self.sent[pre]
        have, want = span.of(pre), window.steps
        ahead = span.origin(pre) - window.origin - lag
        if have == want and ahead == 0:
            return sent
        out = np.zeros((self.lanes, want, sent.values.shape[2]), sent.values.dtype)
        start = min(max(0, -ahead), want)
        some = slice(start, max(start, min(want, have - ahead)))
        out[:, some] = sent.values[:, some.start + ahead : some.stop + ahead]
        return Sent(out, sent.layout)

    def _before(self, j: Projection, t: int, kind: Any) -> Values:
        """What pre sent at step t - lag < 0 [size]: from the initial conditions."""
        old = self.initial.sent.get(j.pre)
        back = j.lag - t
        pre = self.program[j.pre]
        if old is None and isinstance(pre.neuron, Clock) and self.span.last is None:
            period = pre.neuron.period(self.program.timesteps)
            return np.full(pre.size, -back % period == period - 1, dtype=kind)  # it ticks on
        if old is None or back > len(old):
            return np.zeros(self.program[j.pre].size, dtype=kind)
        before: Values = old[-back].astype(kind)
        return before

    def _steps(self, p: Population, ports: Mapping[str, Values], steps: slice) -> None:
        ready = self.ready
        shaped = {n: a[:, steps] for n, a in ports.items()}
        if ready.port_type(p) is np.int64:
            shaped = {n: wrap32(a) for n, a in shaped.items()}
        resets = Resets(self.span.origin(p.name) - steps.start, self.program.timesteps)
        neurons.steps(
            ready.neurons[p.name], shaped, self.state.get(p.name), resets,
            self.sent[p.name].values[:, steps], self._tally(p), steps,
        )  # fmt: skip

    def _accumulate(self, a: accumulators.Accumulator) -> None:
        """Memory and clear together: what is held is added up, and starts again after a tick."""
        m, c = self.program[a.memory], self.program[a.clear]
        held = np.zeros((self.lanes, m.size), np.int32)
        window = self.span.window(m.name)
        for earlier in self._earlier(m, window):
            self._hold(a, held, earlier, lambda t, tick: None)
        sent, cleared = self.sent[m.name].values, self.sent[c.name].values
        memory, clear = self._tally(m), self._tally(c)

        def keep(t: int, tick: bool) -> None:
            busy = np.count_nonzero(held, axis=0).astype(np.uint8)
            sent[:, t] = held
            memory.events[t] += busy  # M receives M[t], so as many are active
            memory.active[t] += busy
            clear.active[t] += np.uint8(self.lanes) if tick else busy
            if tick:
                cleared[:, t] = held
                clear.events[t] += busy

        self._hold(a, held, window, keep)

    def _earlier(self, p: Population, window: Window) -> Iterator[Window]:
        """The steps from -phase to the window, in parts of a sample's length."""
        if self.span.last is None:
            return
        first = p.phase  # steps before model step 0
        while first > window.origin:
            steps = min(self.program.timesteps, first - window.origin)
            yield Window(steps, first)
            first -= steps

    def _hold(
        self,
        a: accumulators.Accumulator,
        held: Values,
        window: Window,
        keep: Callable[[int, bool], None],
    ) -> None:
        """Add what M receives in the window to `held`, step by step; `keep` sees it at each."""
        m = self.program[a.memory]
        received = self._ports(m, lambda j: j.pre not in (a.memory, a.clear), window)["a_in"]
        ticks = (
            self._shifted(a.tick.pre, window).values[0, :, 0]
            if self.span.of(a.tick.pre)
            else np.zeros(window.steps, np.int8)
        )
        for t in range(window.steps):
            held += received[:, t]
            low, high = int(held.min()), int(held.max())
            if low < min(m.low, 0) or high > max(m.high, 0):
                raise neurons.out_of_range(m, low, high)
            keep(t, bool(ticks[t]))
            if ticks[t]:
                held[:] = 0

    def _loop(self, group: tuple[str, ...]) -> None:
        within = frozenset(group)
        self.in_loop = True
        for n in group:
            if isinstance(self.program[n].neuron, LIF):
                self._begin_state(self.program[n], self.ready.bound[n])
        ports = {n: self._ports(self.program[n], lambda j: j.pre not in within) for n in group}
        inner = {n: [j for j in self.program.incoming[n] if j.pre in within] for n in group}
        for t in range(self.span.of(group[0])):
            for n in group:
                if t < self.span.begin(self.program[n]):
                    continue
                for j in inner[n]:
                    s = self.sent[j.pre].values
                    if t >= j.lag:
                        now = s[:, t - j.lag]
                    else:
                        now = np.repeat(self._before(j, t, s.dtype)[None], self.lanes, axis=0)
                    put(ports[n][j.port][:, t], self.ready.projections[j.name](now), False)
                self._steps(self.program[n], ports[n], slice(t, t + 1))
        self.in_loop = False
