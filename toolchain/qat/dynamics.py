"""Thresholds and leaks that are trained: whole numbers of their registers at every moment.

A threshold is a whole number, a leak a whole number of 4096ths (decays of 12 bits) that stay at
each step. Parameters are real; what is computed is rounded, and the gradient passes straight
through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..ground.errors import UnsupportedError
from ..ir.facts import Cell
from ..ir.loops import in_loops
from ..ir.program import LI, LIF, Population, Program
from . import straight
from .rules import Moving
from .wires import Wire

Neuron = LIF | LI


@dataclass(frozen=True)
class Dynamic:
    """What is trained of a population: keys of its parameters, "" where it is fixed.

    start   as it was prepared
    most_u  the most of u that may stay, in parts of `unity`; 0: its leak is not trained
    """

    start: Neuron
    unity: int
    full: int
    top: int
    threshold: str = ""
    leak: str = ""
    most_u: int = 0

    @property
    def least(self) -> Tensor:
        """Of the leak's parameter: v keeps at least one part, u may keep none."""
        return torch.tensor([1.0, 0.0][: 1 + bool(self.most_u)]) / self.unity

    @property
    def most(self) -> Tensor:
        """Of the leak's parameter."""
        return torch.tensor([float(self.unity), self.most_u][: 1 + bool(self.most_u)]) / self.unity

    @property
    def kept(self) -> Tensor:
        """The leak's parameter as it was prepared: what stays of v, and of u if that is trained."""
        parts = (self.unity - self.start.dv, self.full - self.start.du)[: 1 + bool(self.most_u)]
        return torch.tensor([float(k) for k in parts]) / self.unity

    def clamp(self, thresholds: nn.ParameterDict, leaks: nn.ParameterDict) -> None:
        """Bring its parameters into what the registers hold."""
        if self.threshold and isinstance(self.start, LIF):
            vth = self.start.vth
            thresholds[key(self.threshold)].clamp_(1 / vth, self.top / vth)
        if self.leak:
            leak = leaks[key(self.leak)]
            leak.clamp_(self.least.to(leak), self.most.to(leak))

    def now(self, threshold: Tensor | None, leak: Tensor | None) -> Moving:
        """With the parameters of this moment, [1] and [1 or 2]."""
        neuron, vth, keep_v, keep_u = self.start, None, None, None
        if threshold is not None:
            assert isinstance(neuron, LIF)
            vth = straight.whole(threshold[0].double() * neuron.vth, 1, self.top)
            neuron = replace(neuron, vth=int(vth.detach()))
        if leak is not None:
            parts = leak.double() * self.unity
            v = straight.whole(parts[0], 1, self.unity)
            keep_v, neuron = v / self.unity, replace(neuron, dv=self.unity - int(v.detach()))
            if self.most_u:
                u = straight.whole(parts[1], 0, self.most_u)
                keep_u, neuron = u / self.unity, replace(neuron, du=self.full - int(u.detach()))
        return Moving(neuron, vth, keep_v, keep_u)


def key(name: str) -> str:
    """`name` as a parameter's name, which has no dots."""
    return name.replace(".", "/")


def dynamics_of(
    program: Program,
    wires: Mapping[str, tuple[Wire, ...]],
    layers: Collection[str],
    train: Collection[str],
) -> dict[str, Dynamic]:
    """By population, for neurons of which thresholds or leaks are trained.

    layers  wires whose weights are trained

    Neurons of one module share their parameters: a module that is called twice, copies that feed
    back. What is several populations that compare one membrane (soft resets) is left out: its
    threshold is also what a reset takes, and its leak a weight that ranges were proved with.

    Raises UnsupportedError (SFX-E371) for what no neuron of the Program can train.
    """
    found: dict[str, Dynamic] = {}
    for q, name in _plain(program):
        n, widths = q.neuron, program.arithmetic
        assert isinstance(n, Neuron)
        made = Dynamic(n, widths.decay_unity, widths.full_decay, widths.threshold_limit - 1)
        if "thresholds" in train and isinstance(n, LIF) and n.vth > 0:
            made = replace(made, threshold=name)
        if "leaks" in train:
            fixed = any(w.name not in layers for w in wires[q.name])
            most = widths.full_decay - n.du if fixed else widths.decay_unity
            most_u = most if n.du < widths.full_decay else 0
            made = replace(made, leak=name, most_u=most_u)
        if made.threshold or made.leak:
            found[q.name] = made
    for kind, keys in (("thresholds", {d.threshold for d in found.values()}),
                       ("leaks", {d.leak for d in found.values()})):  # fmt: skip
        if kind in train and not keys - {""}:
            raise UnsupportedError(
                "SFX-E371",
                f"no neuron has {kind} that can be trained",
                where=program.name,
                hint="soft resets, integer neurons and neurons without a membrane keep theirs; "
                "'scales' gives what a threshold gives",
            )
    return _alike(found)


def _plain(program: Program) -> Iterator[tuple[Population, str]]:
    """Neurons with a membrane that are one population, or equal copies of one, and the module that
    they are.
    """
    cell = {n: fact for fact in program.known(Cell) for n in (fact.population, *fact.silent)}
    loops = in_loops(program)
    for q in program:
        fact = cell.get(q.name)
        members = () if fact is None else (fact.population, *fact.silent)
        whole = all(isinstance(program[n].neuron, LIF) for n in members)
        n, full = q.neuron, program.arithmetic.full_decay
        kept = isinstance(n, LI) or (isinstance(n, LIF) and n.reset)
        stays = kept and isinstance(n, Neuron) and n.dv < full
        if stays and whole and (fact is not None or q.name not in loops):
            yield q, (program[fact.population].module if fact else q.module) or q.name


def _alike(found: dict[str, Dynamic]) -> dict[str, Dynamic]:
    """The same, with parameters shared only by neurons that start from equal ones."""
    first: dict[str, tuple[int, int, int]] = {}
    out = {}
    for name, d in found.items():
        leaks = (d.start.du, d.start.dv, d.most_u)
        alone = bool(d.leak) and first.setdefault(d.leak, leaks) != leaks
        out[name] = replace(d, leak=name) if alone else d
    return out


def parameters(found: Mapping[str, Dynamic]) -> Iterator[tuple[str, str, Tensor]]:
    """Kind, name and start of each parameter: thresholds in shares of the prepared one."""
    for d in found.values():
        if d.threshold:
            yield "thresholds", d.threshold, torch.ones(1)
        if d.leak:
            yield "leaks", d.leak, d.kept
