"""What nodes mean in float64 over the steps: neurons with a state, sums over steps, loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import graph as g
from .float_ops import apply
from .graph import FloatArray, Node, topological
from .single import single
from .stairs import signed_spikes


def over_steps(node: Node, operands: list[FloatArray], timesteps: int) -> FloatArray:
    """One node over [K, T, *shape] operands; [K, T/g, *shape] for what only a sum over groups of g
    steps reads, T of the whole sample.
    """
    if isinstance(node.op, g.Product):
        return operands[0] * operands[1]
    (x,) = operands
    if isinstance(node.op, g.LIF | g.IF):
        neuron = Neuron(node.op)
        return np.stack([neuron.step(x[:, t]) for t in range(x.shape[1])], axis=1)
    if isinstance(node.op, g.LI):
        return membranes(node.op, x)
    if isinstance(node.op, g.Integrator):
        summed: FloatArray = np.cumsum(node.op.gain * x, axis=1)
        return summed
    if isinstance(node.op, g.Delay):
        return delayed(x, node.op.of(node.shape))
    if isinstance(node.op, g.TimeMap):
        return mapped(node.op, x)
    if isinstance(node.op, g.TimeSum):
        return _sums_of_groups(x, node.op.span(timesteps), timesteps)
    if isinstance(node.op, g.VIEWS) and x.shape[1] > 1 and x.strides[1] == 0:
        once = over_steps(node, [x[:, :1]], timesteps)  # the same at every step
        return np.broadcast_to(once, (*x.shape[:2], *node.shape))
    lead = x.shape[:2]
    if isinstance(node.op, g.Expand):
        return np.broadcast_to(x, (*lead, *node.shape))
    y = apply(node.op, x.reshape(-1, *x.shape[2:]))
    return y.reshape(*lead, *node.shape)


def _sums_of_groups(x: FloatArray, group: int, timesteps: int) -> FloatArray:
    """The sum over each group of steps, at each of them; of x [K, T, ...], or [K, T/group, ...]."""
    count = timesteps // group
    total = x.reshape(len(x), count, -1, *x.shape[2:]).sum(axis=2) if x.shape[1] != count else x
    if count == 1:
        return np.broadcast_to(total, (len(x), timesteps, *x.shape[2:]))
    return np.repeat(total, group, axis=1)


def mapped(op: g.TimeMap, x: FloatArray) -> FloatArray:
    """Spikes of a TimeMap of x [K, T, *shape]; x with one step is the same at all."""
    full = np.broadcast_to(x, (len(x), len(op.bias), *x.shape[2:]))
    bias = op.bias.reshape(-1, *[1] * (x.ndim - 2))
    h = np.moveaxis(np.tensordot(op.weight, full, (1, 1)), 0, 1) + bias
    return (single(h) >= 0).astype(np.float64)


def delayed(x: NDArray[Any], steps: NDArray[np.int64]) -> NDArray[Any]:
    """x [K, T, *shape] with each element `steps` [size] later; 0 before."""
    flat = x.reshape(*x.shape[:2], -1)
    late = np.zeros_like(flat)
    for d in np.unique(steps):
        if d < x.shape[1]:
            late[:, d:, steps == d] = flat[:, : x.shape[1] - d, steps == d]
    return late.reshape(x.shape)


def membranes(op: g.LI, x: FloatArray) -> FloatArray:
    """v of an LI at every step of x [K, T, *shape], from rest."""
    v: FloatArray | float = op.start
    i: FloatArray | float = 0.0
    out = np.empty(x.shape)
    for t in range(x.shape[1]):
        drive: FloatArray = single(x[:, t])
        if op.syn != 1.0:
            i = drive = single(i + op.syn * (op.w_in * drive - i))
        elif op.w_in != 1.0:
            drive = op.w_in * drive
        v = single(v + op.decay * ((op.leak - v) + op.gain * drive))
        out[:, t] = v
    return out


class Neuron:
    """The state of one LIF or IF node over samples; a fresh one has v = start, i = 0."""

    def __init__(self, op: g.LIF | g.IF) -> None:
        self.op = op
        self.threshold = float(single(op.threshold))
        self.v: FloatArray | float = op.start
        self.i: FloatArray | float = 0.0
        self.held: FloatArray | float = 0.0

    def step(self, x: FloatArray) -> FloatArray:
        """One model step of input x [K, *shape]: the spikes, 0.0 or 1.0, or how many (signed)."""
        op, x = self.op, single(x)
        if isinstance(op, g.LIF):
            if op.syn != 1.0:
                self.i = x = single(self.i + op.syn * (op.w_in * x - self.i))
            elif op.w_in != 1.0:
                x = op.w_in * x
            v = self.v + op.decay * ((op.leak - self.v) + op.gain * x)
        else:
            v = self.v + op.gain * x
        if op.hold:
            v = np.where(np.asarray(self.held) > 0, op.reset, v)
        v = single(v)
        spikes = self._fired(v)
        self.v = np.where(spikes != 0, self._reset(v, spikes), v)
        if op.floor is not None:  # in two float32 steps, as sinabs rounds
            self.v = single(np.maximum(single(self.v - op.floor), 0.0) + op.floor)
        if op.hold:
            self.held = np.where(spikes != 0, op.hold, np.maximum(self.held - 1.0, 0.0))
        return spikes

    def _reset(self, v: FloatArray, spikes: FloatArray) -> FloatArray | float:
        if not self.op.subtract:
            return float(single(self.op.reset))
        # a drop of its own is not taken off in float32: it stands for what the next step does
        return v - self.op.drop * spikes if self.op.drop else single(v - self.threshold * spikes)

    def _fired(self, v: FloatArray) -> FloatArray:
        """How often each neuron fires at v, after the membrane of the step before."""
        threshold = self.threshold
        if self.op.fires == "signed":
            return signed_spikes(self.op, v)
        if self.op.fires == "round":
            return np.rint(np.clip(single(v / threshold), 0.0, self.op.most))
        if self.op.fires == "many":
            n = np.maximum(np.floor(single(v / threshold)), 0.0)
            fewer: FloatArray = n if self.op.reached else n - ((n > 0) & (v <= n * threshold))
            return np.minimum(fewer, self.op.most) if self.op.most else fewer
        if self.op.fires == "twice":
            v = v - (self.op.drop or threshold) * self._over(np.asarray(self.v))
        return self._over(v)

    def _over(self, v: FloatArray) -> FloatArray:
        over = v >= self.threshold if self.op.reached else v > self.threshold
        return over.astype(np.float64)


def run_loop(
    members: tuple[Node, ...], values: dict[str, FloatArray], lead: tuple[int, ...]
) -> dict[str, FloatArray]:
    """A loop step by step: its neuron comes last, so what leaves it carries the step before."""
    linear = topological(tuple(n for n in members if not n.op.neuron))
    members = (*linear, *(n for n in members if n.op.neuron))
    position = {n.name: i for i, n in enumerate(members)}
    inside = {n.name: np.zeros((*lead, *n.shape)) for n in members}
    neurons = {n.name: Neuron(n.op) for n in members if isinstance(n.op, g.LIF | g.IF)}
    arrays = values | inside
    operand = {n.name: arrays[n.producers[0]].shape[2:] for n in members}
    for t in range(lead[1]):
        for node in members:
            x = np.zeros((lead[0], *operand[node.name]))
            for p in node.producers:
                if p not in position:
                    x = x + values[p][:, t]
                elif position[p] < position[node.name]:
                    x = x + inside[p][:, t]
                elif t > 0:
                    x = x + inside[p][:, t - 1]
            if node.name in neurons:
                inside[node.name][:, t] = neurons[node.name].step(x)
            elif isinstance(node.op, g.Expand):
                inside[node.name][:, t] = x
            else:  # at t = 0 nothing has arrived, but a bias counts from the first step on
                inside[node.name][:, t] = apply(node.op, x).reshape(lead[0], *node.shape)
    return inside
