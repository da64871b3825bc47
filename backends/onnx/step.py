"""One hardware step of a Program as the body of a Scan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...toolchain.ir.program import Population, Program, Projection, Shape
from .arithmetic import wrap
from .body import BOOL, INT64, Body, Scope
from .connections import project
from .forms import Cell, Host, Sent
from .neurons import RULES

RECORDED = ("u", "v")
"""The state that a `Stream` holds."""


@dataclass(frozen=True)
class Carried:
    """A state: its names in the body before and after a step, outside before the first and at
    the end.
    """

    before: str
    after: str
    first: str
    last: str
    kind: int
    shape: Shape


@dataclass(frozen=True)
class Output:
    """What is recorded of a population: its name in the body and as output of the model."""

    population: str
    quantity: str
    inner: str
    name: str
    kind: int
    shape: Shape


@dataclass
class Step:
    """The body while it grows. Names are unique inside and outside of it, as ONNX demands.

    events  the input of one step, the Scan's current slice of `stream`
    """

    events: str
    stream: str
    body: Body
    carried: list[Carried] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def carry(self, before: str, after: str, what: str, kind: int, shape: Shape) -> None:
        """`after` of this step is `before` of the next."""
        first, last = (self.body.name(f"{what} {when}") for when in ("at first", "at last"))
        self.carried.append(Carried(before, after, first, last, kind, shape))


def build(program: Program, states: bool) -> Step:
    """The body of `program`. States are made before any node reads them."""
    body = Body()
    stream = body.name("events")
    names = _output_names(program, body, states)  # before any other can take them
    step = Step(body.name("events now"), stream, body)
    lines = {p.name: body.name(f"{p.name}/sent before") for p in program}
    t = body.name("t")
    clock = Scope(body, "t")
    at_step = _Moments(clock, t)
    for p in program:
        sent = _population(program, p, step, lines, at_step)
        _record(step, p, sent, names)
        _remember(program, p, step, lines[p.name], sent.spikes)
    following = clock.op(
        "Mod", clock.op("Add", t, clock.number(1)), clock.number(program.timesteps)
    )
    step.carry(t, following, "t", INT64, ())
    return step


@dataclass
class _Moments:
    """h mod T = r as a bool scalar, made once per r. `t` is h mod T."""

    at: Scope
    t: str
    _made: dict[int, str] = field(default_factory=dict)

    def is_(self, r: int) -> str:
        if r not in self._made:
            self._made[r] = self.at.op("Equal", self.t, self.at.number(r))
        return self._made[r]


def _population(
    program: Program, p: Population, step: Step, lines: dict[str, str], moments: _Moments
) -> Sent:
    at = Scope(step.body, p.name)
    form = RULES[type(p.neuron)]
    if isinstance(form, Host):
        return form.sends(at, p, step.events, program.timesteps, moments.is_)
    assert isinstance(form, Cell), "a form is a Cell or a Host"
    driven = p.neuron.driven
    ports = {"events": step.events} if driven else _ports(program, p, step, lines)
    kept = p.neuron.state
    before = start = tuple(step.body.name(f"{p.name}/{k} before") for k in kept)
    if kept and p.stateful:
        # LIFReset, interval T, offset phase + 1: before the update (integer semantics 2.1)
        now = moments.is_(p.phase % program.timesteps)
        start = tuple(at.op("Where", now, at.number(0), x) for x in before)
    sent = form.compute(at, p, ports, start, program.arithmetic)
    for name, after, k in zip(before, sent.state, kept, strict=True):
        step.carry(name, after, f"{p.name}/{k}", INT64, p.shape)
    return sent


def _ports(program: Program, p: Population, step: Step, lines: dict[str, str]) -> dict[str, str]:
    """Input of `p` by port, int64 [*shape]: its projections summed in 32 bits."""
    at = Scope(step.body, p.name)
    arriving: dict[str, list[str]] = {port: [] for port in p.neuron.ports}
    for j in program.incoming[p.name]:
        scope = Scope(step.body, j.name)
        spikes = _delayed(j, scope, lines[j.pre])
        arriving[j.port].append(project(scope, j, program[j.pre], p, spikes, program.arithmetic))
    ports = {}
    for port, terms in arriving.items():
        if not terms:
            ports[port] = at.array(np.zeros(p.shape, dtype=np.int64))
            continue
        total = terms[0]
        for term in terms[1:]:
            total = at.op("Add", total, term)
        ports[port] = wrap(at, total, 32) if len(terms) > 1 else total
    return ports


def _depth(program: Program, p: Population) -> int:
    """Steps that must be remembered of what `p` sent; 0 if nothing reads it."""
    return max((j.delay for j in program.outgoing[p.name]), default=0)


def _delayed(j: Projection, at: Scope, line: str) -> str:
    """What the pre of `j` sent `delay` steps ago [*shape]: entry delay - 1, the newest is 0."""
    return at.op("Gather", line, at.number(j.delay - 1), axis=0)


def _remember(program: Program, p: Population, step: Step, line: str, spikes: str) -> None:
    """Put `spikes` in front of the delay line and drop its oldest entry."""
    depth = _depth(program, p)
    if not depth:
        return
    at = Scope(step.body, p.name)
    kind = INT64 if p.graded else BOOL
    newest = spikes if p.neuron.binary == (kind == BOOL) else at.cast(spikes, kind)
    newest = at.reshape(newest, 1, *p.shape)
    if depth > 1:
        start, end = (at.array(np.array([k], dtype=np.int64)) for k in (0, depth - 1))
        newest = at.op("Concat", newest, at.op("Slice", line, start, end), axis=0)
    step.carry(line, newest, f"{p.name}/sent", kind, (depth, *p.shape))


def _output_names(program: Program, body: Body, states: bool) -> dict[tuple[str, str], str]:
    """(population, quantity) -> output of the model: the population's name, with /u and /v."""
    names = {(p.name, "spikes"): body.name(p.name) for p in program}
    for p in program:
        if states:
            names |= {
                (p.name, k): body.name(f"{p.name}/{k}") for k in p.neuron.state if k in RECORDED
            }
    return names


def _record(step: Step, p: Population, sent: Sent, names: dict[tuple[str, str], str]) -> None:
    at = Scope(step.body, p.name)
    kind = BOOL if p.neuron.binary else INT64
    state = zip(p.neuron.state, sent.state, strict=True)
    for quantity, value, of in (
        ("spikes", sent.spikes, kind),
        *((name, value, INT64) for name, value in state),
    ):
        if (p.name, quantity) in names:
            # Renamed, for a value may leave the body once, and v and the spikes also go on.
            inner, outer = at.op("Identity", value), names[p.name, quantity]
            step.outputs.append(Output(p.name, quantity, inner, outer, of, p.shape))
