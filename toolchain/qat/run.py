"""One forward pass: a Program layer by layer in model time, [T, B, size] per population."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..ir import program as p
from ..ir.loops import groups, in_loops, is_loop
from .layers import Layer
from .neurons import RULES
from .pair_products import Contraction, contractions
from .rules import Cell, Context, Host, Moving, State
from .synapses import Rule, rule
from .ticks import ticked
from .wires import Wire


@dataclass(frozen=True, eq=False)
class Plan:
    """A Program readied for torch.

    groups  populations in order; those of a loop run together, step by step
    last    population -> index of the last group that reads it; its own where none does
    silent  populations of a loop that a clock's tick silences at a sample's last step
    """

    program: p.Program
    wires: Mapping[str, tuple[Wire, ...]]
    layer_of: Mapping[str, Layer]
    rules: Mapping[str, Rule]
    contractions: Mapping[str, Contraction]
    groups: tuple[tuple[tuple[str, ...], bool], ...]
    last: Mapping[str, int]
    silent: frozenset[str]

    @staticmethod
    def of(
        program: p.Program,
        wires: Mapping[str, tuple[Wire, ...]],
        layer_of: Mapping[str, Layer],
    ) -> Plan:
        """Raises UnsupportedError (SFX-E360)."""
        order = tuple((group, is_loop(program, group)) for group in groups(program))
        contracted = contractions(program, in_loops(program))
        rules = {
            w.name: rule(
                w,
                program[w.whole.pre],
                program[name],
                program.arithmetic,
                layer_of[w.name].rows.largest if w.name in layer_of else None,
            )
            for name, incoming in wires.items()
            for w in incoming
        }
        last = _last_use(program, order, contracted)
        silent = frozenset(n for n in ticked(program))
        return Plan(program, wires, layer_of, rules, contracted, order, last, silent)


@dataclass(frozen=True, eq=False)
class Numbers:
    """All that is trained, as it is at this moment.

    weights    mantissas by layer;  bias  of a LIF by name
    constants  by population: the port that they reach at every step, and what does [size]
    moving     by population, neurons whose threshold or leak is trained
    """

    weights: Mapping[str, Tensor]
    bias: Callable[[str], Tensor]
    constants: Mapping[str, tuple[str, Tensor]]
    moving: Mapping[str, Moving]


def run(plan: Plan, x: Tensor, numbers: Numbers, keep: Callable[[str], bool]) -> dict[str, Tensor]:
    """What the populations that `keep` names send [T, B, size], from events x [T, B, size]."""
    pass_ = _Pass(plan, x, numbers)
    kept: dict[str, Tensor] = {}
    for i, (group, loop) in enumerate(plan.groups):
        if any(keep(n) or plan.last[n] > i for n in group):
            pass_.group(group, loop)
        for n in [n for n in pass_.sent if plan.last[n] <= i]:
            value = pass_.sent.pop(n)
            if keep(n):
                kept[n] = value
    return kept


class _Pass:
    """The populations as they run: what they sent [T, B, size], as long as it is needed."""

    def __init__(self, plan: Plan, x: Tensor, numbers: Numbers) -> None:
        self.plan, self.program, self.x, self.numbers = plan, plan.program, x, numbers
        self.steps, self.batch = x.shape[:2]
        self.sent: dict[str, Tensor] = {}
        self.shared: dict[object, Tensor] = {}

    def group(self, group: tuple[str, ...], loop: bool) -> None:
        """One population, or the populations of a loop together."""
        first = self.program[group[0]]
        rule = RULES[type(first.neuron)]
        if isinstance(rule, Host):
            self.sent[first.name] = rule.sends(first, self.x)
        elif loop:
            self._loop(group)
        else:
            ports = self._ports(first, frozenset())
            self.sent[first.name], _ = self._neuron(first, ports, None)

    def _ports(self, q: p.Population, within: frozenset[str]) -> dict[str, Tensor]:
        """Input by port [T, B, size] from all populations that are not in `within`."""
        ports: dict[str, Tensor] = {}
        for w in self.plan.wires[q.name]:
            j = w.whole
            if j.pre in within:
                continue
            a = _lagged(self._delivered(w), j.lag, isinstance(self.program[j.pre].neuron, p.Clock))
            ports[j.port] = a if j.port not in ports else ports[j.port] + a
        for port in q.neuron.ports:
            if port not in ports:
                ports[port] = self.x.new_zeros(self.steps, self.batch, q.size)
        if q.name in self.numbers.constants:
            port, constant = self.numbers.constants[q.name]
            ports[port] = ports[port] + constant
        return ports

    def _delivered(self, w: Wire) -> Tensor:
        """What `w` brings at all steps [T, B, post size]."""
        contraction = self.plan.contractions.get(w.name)
        if contraction is None:
            flat = self._through(w, self.sent[w.whole.pre].flatten(0, 1))
            return flat.reshape(self.steps, self.batch, -1)
        j = w.whole
        same = (j.pre, j.connection, j.weight_exp)  # an accumulator and its clearing twin
        if same not in self.shared:
            a, b = (self.sent[k.pre].flatten(0, 1) for k in (contraction.left, contraction.right))
            self.shared[same] = contraction(a, b).reshape(self.steps, self.batch, -1)
        return self.shared[same]

    def _through(self, w: Wire, x: Tensor) -> Tensor:
        layer = self.plan.layer_of.get(w.name)
        return self.plan.rules[w.name](
            x, None if layer is None else self.numbers.weights[layer.key]
        )

    def _neuron(
        self, q: p.Population, ports: Mapping[str, Tensor], state: State | None
    ) -> tuple[Tensor, State | None]:
        """Spikes [T, B, size] of one population over the given steps, and its state after."""
        rule = RULES[type(q.neuron)]
        assert isinstance(rule, Cell), "the host drives it"
        own = q.name not in self.numbers.constants  # else what is trained has come in by a port
        context = Context(
            lambda: self.numbers.bias(q.name) if own else self._fixed(q),
            self.program.arithmetic,
            self.numbers.moving.get(q.name),
        )
        return rule.sends(q, ports, context, state)

    def _fixed(self, q: p.Population) -> Tensor:
        """What a neuron adds by itself [size], untrained."""
        bias = getattr(q.neuron, "bias", np.zeros((), np.int64))
        whole = np.broadcast_to(bias, q.shape).reshape(-1)
        return torch.from_numpy(whole.astype(np.float32)).to(self.x.device)

    def _loop(self, group: tuple[str, ...]) -> None:
        within = frozenset(group)
        ports = {n: self._ports(self.program[n], within) for n in group}
        inner = {n: [w for w in self.plan.wires[n] if w.whole.pre in within] for n in group}
        out: dict[str, list[Tensor]] = {n: [] for n in group}
        state: dict[str, State | None] = dict.fromkeys(group)
        for t in range(self.steps):
            for n in group:
                now = {port: a[t] for port, a in ports[n].items()}
                for w in inner[n]:
                    j = w.whole
                    if 0 <= t - j.lag < len(out[j.pre]):
                        now[j.port] = now[j.port] + self._through(w, out[j.pre][t - j.lag])
                step = {port: a[None] for port, a in now.items()}
                s, state[n] = self._neuron(self.program[n], step, state[n])
                # `program` gives the tick whatever it has to outweigh
                quiet = t == self.steps - 1 and n in self.plan.silent
                out[n].append(torch.zeros_like(s[0]) if quiet else s[0])
        self.sent |= {n: torch.stack(values) for n, values in out.items()}


def _lagged(a: Tensor, lag: int, periodic: bool) -> Tensor:
    """What arrives at each step [T, B, n], moved `lag` steps later.

    Legal Programs are silent where a lag reads another sample, so zeros stand there; a clock ticks
    in every sample alike.
    """
    if lag == 0 or periodic:
        return a.roll(lag, 0) if lag else a
    if lag > 0:
        return torch.cat([torch.zeros_like(a[:lag]), a])[: len(a)]
    return torch.cat([a[-lag:], torch.zeros_like(a[:-lag])])[: len(a)]


def _last_use(
    program: p.Program,
    order: tuple[tuple[tuple[str, ...], bool], ...],
    contracted: Mapping[str, Contraction],
) -> dict[str, int]:
    """Readers of a contracted population read its operands instead."""
    place = {n: i for i, (group, _) in enumerate(order) for n in group}
    last = dict(place)
    for j in program.projections:
        c = contracted.get(j.name)
        for name in (j.pre,) if c is None else (c.left.pre, c.right.pre):
            last[name] = max(last[name], place[j.post])
    return last
