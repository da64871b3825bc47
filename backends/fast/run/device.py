"""The fast backend on a CUDA device (or any device of torch): the same integers in torch.

Layer by layer over batches, as `execute`, with what `Prepared` proved: bounds, contractions, and
what happens before the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....toolchain.ground.arith import IntArray
from ....toolchain.ground.errors import MissingPartError
from ....toolchain.ir.program import (
    Clock,
    Input,
    Population,
    Projection,
)
from ..kernels.on_device import wrap
from ..neurons import RULES
from ..neurons.lif import bias_of
from ..plan.prepared import Prepared
from ..rules import Leaky, Stateless
from .device_sums import DeviceProjection, contracted
from .neurons import out_of_range
from .state import InitialConditions
from .tallies import MOST_LANES, PairTally


@dataclass(frozen=True, eq=False)
class DeviceTally:
    """Events and active neurons [T, n] on the device."""

    shape: tuple[int, ...]
    events: Tensor
    active: Tensor

    def event_counts(self) -> IntArray:
        """Nonzero values sent [T, *shape]."""
        out: IntArray = self.events.cpu().numpy().astype(np.int64).reshape(self.shape)
        return out

    def active_counts(self) -> IntArray:
        """Neurons with something to update [T, *shape]."""
        out: IntArray = self.active.cpu().numpy().astype(np.int64).reshape(self.shape)
        return out

    def event_total(self) -> int:
        """The sum of `event_counts`."""
        return int(self.events.sum(dtype=torch.int64))


Tallies = dict[str, DeviceTally | PairTally]


class OnDevice:
    """A Program readied for a device of torch, such as `cuda`.

    Raises MissingPartError (SFX-E546) if there is no such device.
    """

    def __init__(self, ready: Prepared, initial: InitialConditions, device: str) -> None:
        self.ready, self.program, self.initial = ready, ready.program, initial
        self.device = _device(device)
        self.projections = {
            j.name: DeviceProjection(j.name, ready.projections[j.name], self.device)
            for j in self.program.projections
            if j.pre not in ready.contracted and j.post not in ready.contracted
        }
        self.bias = {
            p.name: torch.from_numpy(bias_of(p).copy()).to(self.device)
            for p in self.program
            if p.neuron.recorded and p.name not in ready.contracted
        }

    def tallies(self) -> Tallies:
        """Nothing counted yet."""
        out: Tallies = {}
        steps = self.program.timesteps
        for p in self.program:
            if p.name in self.ready.contracted:
                pairs = PairTally(self.ready.contracted[p.name], steps, p.shape)
                pairs.starts_after(self.initial.sent)
                out[p.name] = pairs
                continue
            zeros = torch.zeros((2, steps, p.size), dtype=torch.int32, device=self.device)
            out[p.name] = DeviceTally((steps, *p.shape), zeros[0], zeros[1])
        return out

    def lanes(self, memory: int) -> int:
        """Samples that fit into `memory` bytes, or on a GPU into a third of what is free."""
        if self.device.type == "cuda":
            memory = max(memory, torch.cuda.mem_get_info(self.device)[0] // 3)
        return max(1, min(MOST_LANES, memory // self._lane_bytes()))

    def _lane_bytes(self) -> int:
        """About the most memory that a sample needs on the device."""
        most = 0
        for j in self.program.projections:
            if j.name in self.projections:
                most = max(most, self.projections[j.name].work_bytes)
        neurons = sum(p.size for p in self.program if p.name not in self.ready.contracted)
        return self.program.timesteps * (most + 6 * neurons)

    @torch.no_grad()
    def run(self, x: IntArray, tallies: Tallies) -> Tensor:
        """Run samples x [B, T, *input shape]; output spikes summed over T [B, output size]."""
        batch = _Batch(self, len(x), tallies)
        total: Tensor | None = None
        for i, (group, loop) in enumerate(self.ready.groups):
            if group[0] in self.ready.contracted:
                batch.count_pairs(group[0])
                continue
            batch.group(group, loop, x)
            if self.program.readout.population in group:
                total = self._read(batch.sent[self.program.readout.population].long())
            batch.state.clear()
            for n in [n for n in batch.sent if self.ready.last_use[n] <= i]:
                del batch.sent[n]
        assert total is not None
        return total

    def _read(self, sent: Tensor) -> Tensor:
        """What the host makes of the output's steps [B, T, n], without the offset."""
        readout = self.program.readout
        if readout.largest:
            return sent.amax(dim=1)
        if readout.weights:
            sent = sent * torch.tensor(readout.weights, device=sent.device).reshape(1, -1, 1)
        return sent.sum(dim=1)


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise MissingPartError(
            "SFX-E546", "torch finds no CUDA device here", hint="leave --device out for the CPU"
        )
    return torch.device(name.removeprefix("torch-"))


class _Batch:
    """The lanes while they run: what populations sent [B, T, size]."""

    def __init__(self, on: OnDevice, lanes: int, tallies: Tallies) -> None:
        self.on, self.program, self.lanes, self.tallies = on, on.program, lanes, tallies
        self.steps = on.program.timesteps
        self.sent: dict[str, Tensor] = {}
        self.state: dict[str, tuple[Tensor, Tensor]] = {}

    def count_pairs(self, name: str) -> None:
        """The counts of a population that is not simulated."""
        c, tally = self.on.ready.contracted[name], self.tallies[name]
        assert isinstance(tally, PairTally)
        tally.add(*(self.sent[o.name].cpu().numpy() for o in (c.a, c.b)))

    def group(self, group: tuple[str, ...], loop: bool, x: IntArray) -> None:
        """One population, or the populations of a loop together step by step."""
        for n in group:
            self._start(self.program[n])
        first = self.program[group[0]]
        if isinstance(first.neuron, Input):
            values = torch.from_numpy(np.ascontiguousarray(x)).reshape(self.lanes, self.steps, -1)
            self.sent[first.name][:] = values.to(self.on.device)
            self._tally(first).events.add_((self.sent[first.name] != 0).sum(dim=0).int())
        elif isinstance(first.neuron, Clock):
            every = first.neuron.period(self.steps)
            self.sent[first.name][:, every - 1 :: every] = 1
            self._tally(first).events[every - 1 :: every] += self.lanes
        else:
            inner = frozenset(group) if loop else frozenset[str]()
            ports = {n: self._ports(self.program[n], inner) for n in group}
            for t in range(self.steps):
                for n in group:
                    self._inner(self.program[n], inner, ports[n], t)
                    self._step(self.program[n], {k: a[:, t] for k, a in ports[n].items()}, t)

    def _start(self, p: Population) -> None:
        kind = {1: torch.int8, 4: torch.int32, 8: torch.int64}[
            np.dtype(self.on.ready.sent_type(p)).itemsize
        ]
        if isinstance(p.neuron, Input) and p.high > 127:
            kind = torch.int32
        shape = (self.lanes, self.steps, p.size)
        self.sent[p.name] = torch.zeros(shape, dtype=kind, device=self.on.device)
        if p.neuron.recorded:
            old = self.on.initial.state.get(p.name)
            pair = np.zeros((2, p.size)) if old is None else np.stack([old.u[0], old.v[0]])
            uv = torch.from_numpy(pair.astype(np.int64)).to(self.on.device)
            self.state[p.name] = uv[0].expand(self.lanes, -1), uv[1].expand(self.lanes, -1)

    def _tally(self, p: Population) -> DeviceTally:
        tally = self.tallies[p.name]
        assert isinstance(tally, DeviceTally)
        return tally

    def _ports(self, p: Population, inner: frozenset[str]) -> dict[str, Tensor]:
        """Input by port [B, T, size] from all populations that are not in `inner`."""
        shape = (self.lanes, self.steps, p.size)
        ports = {
            n: torch.zeros(shape, dtype=torch.int64, device=self.on.device) for n in p.neuron.ports
        }
        for j in self.program.incoming[p.name]:
            if j.pre not in inner:
                ports[j.port] += self._brought(j).reshape(shape)
        return ports

    def _brought(self, j: Projection) -> Tensor:
        ready = self.on.ready
        c = ready.contracted.get(j.pre)
        if c is None:
            s = self._arriving(j)
            return self.on.projections[j.name](s.reshape(-1, s.shape[-1]))
        a, b = (self.sent[o.name].flatten(0, 1) for o in (c.a, c.b))
        planned = ready.projections[j.name]
        total = contracted(c, ready.reading[j.name], a, b, planned.largest) * planned.weight
        return total << planned.exponent if planned.exponent >= 0 else total >> -planned.exponent

    def _arriving(self, j: Projection) -> Tensor:
        s = self.sent[j.pre]
        if j.lag == 0:
            return s
        out = torch.zeros_like(s)
        if j.lag < 0:  # read early: silent after the last step run (check_program)
            out[:, : max(self.steps + j.lag, 0)] = s[:, -j.lag :]
            return out
        out[:, j.lag :] = s[:, : max(self.steps - j.lag, 0)]
        for t in range(min(j.lag, self.steps)):
            out[:, t] = self._before(j, t)
        return out

    def _before(self, j: Projection, t: int) -> Tensor:
        """What pre sent at step t - lag < 0 [size]: from the initial conditions."""
        old, back = self.on.initial.sent.get(j.pre), j.lag - t
        size, neuron = self.program[j.pre].size, self.program[j.pre].neuron
        if old is None and isinstance(neuron, Clock):
            period = neuron.period(self.steps)
            tick = int(-back % period == period - 1)  # it ticks on
            return torch.full((size,), tick, dtype=self.sent[j.pre].dtype, device=self.on.device)
        row = np.zeros(size, np.int64) if old is None or back > len(old) else old[-back]
        return torch.from_numpy(row.copy()).to(self.on.device).to(self.sent[j.pre].dtype)

    def _inner(
        self, p: Population, inner: frozenset[str], ports: Mapping[str, Tensor], t: int
    ) -> None:
        """Add what the other members of a loop bring at step t."""
        for j in self.program.incoming[p.name]:
            if j.pre not in inner:
                continue
            s = self.sent[j.pre]
            now = s[:, t - j.lag] if t >= j.lag else self._before(j, t).expand(self.lanes, -1)
            ports[j.port][:, t] += self.on.projections[j.name](now)

    def _step(self, p: Population, ports: dict[str, Tensor], t: int) -> None:
        ports = {k: wrap(a, 32) for k, a in ports.items()}
        busy = torch.stack([a != 0 for a in ports.values()]).any(dim=0)
        rule = RULES[type(p.neuron)]
        if isinstance(rule, Leaky):
            s, busy = self._leaky(p, rule, ports["a_in"], busy, t)
        else:
            assert isinstance(rule, Stateless), "the host drives it"
            s = rule.on_device(p.neuron, ports)
            low, high = int(s.min()), int(s.max())
            if low < min(p.low, 0) or high > max(p.high, 0):
                raise out_of_range(p, low, high)
        self.sent[p.name][:, t] = s
        tally = self._tally(p)
        tally.events[t] += (s != 0).sum(dim=0).int()
        tally.active[t] += busy.sum(dim=0).int()

    def _leaky(
        self, p: Population, rule: Leaky, a: Tensor, busy: Tensor, t: int
    ) -> tuple[Tensor, Tensor]:
        """The spikes, and which neurons had something to update."""
        u, v = self.state[p.name]
        bias = self.on.bias[p.name]
        if p.stateful and t == 0:
            u, v = torch.zeros_like(u), torch.zeros_like(v)
        busy = busy | (u != 0) | (v != 0) | (bias != 0)
        s, u, v = rule.on_device(p.neuron, a, (u, v), bias, self.program.arithmetic)
        self.state[p.name] = u, v
        return s, busy
