"""A neuron of the graph that follows torch's spikes, and what float32 may make of its membrane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ir import graph as g
from ...toolchain.ir.graph import FloatArray
from ...toolchain.ir.single import single
from ...toolchain.ir.stairs import signed_spikes

Spikes = NDArray[Any]
"""Whether a neuron fires, or how often it does where it is an integer neuron."""
LOCAL = 8
"""Roundings of one step: four operations, and the constants they use."""


@dataclass(frozen=True)
class Constants:
    """The membrane equation of LIF and IF alike, `sfx.toolchain.ir.graph`.

    v <- keep v + decay leak + gain i;  i <- (1 - syn) i + syn w_in x
    """

    keep: float
    pull: float
    gain: float
    syn: float
    w_in: float
    threshold: float
    reset: float
    subtract: bool
    start: float
    drop: float


class Rule:
    """What else decides whether a neuron fires: its comparison, its hold, a second test."""

    def __init__(self, op: g.LIF | g.IF) -> None:
        self.op = op
        self.left: FloatArray | float = 0.0

    def held(self, v: FloatArray, fired: Spikes) -> FloatArray:
        """v, or the reset value for `hold` steps after torch fired."""
        if not self.op.hold:
            return v
        made: FloatArray = np.where(np.asarray(self.left) > 0, v.dtype.type(self.op.reset), v)
        self.left = np.where(fired, float(self.op.hold), np.maximum(self.left - 1.0, 0.0))
        return made

    def tested(self, v: FloatArray, before: FloatArray) -> FloatArray:
        """What is compared with the threshold; before: the membrane after the last reset."""
        if self.op.fires != "twice":
            return v
        drop = v.dtype.type(self.op.drop or threshold(self.op))
        found: FloatArray = v - drop * over(self.op, before).astype(v.dtype)
        return found


def threshold(op: g.LIF | g.IF) -> float:
    """The threshold as the graph compares it, a float32 number."""
    return float(single(op.threshold))


def over(op: g.LIF | g.IF, v: FloatArray) -> Spikes:
    """Where a neuron fires at v, or how often."""
    if op.fires == "round":
        return np.rint(np.clip(single(v / threshold(op)), 0, op.most)).astype(np.int64)
    if op.fires == "signed":
        return signed_spikes(op, v).astype(np.int64)
    found: Spikes = v >= threshold(op) if op.reached else v > threshold(op)
    return found


def distance(op: g.LIF | g.IF, v: FloatArray, fired: Spikes) -> FloatArray:
    """How far v is from where the graph would send what torch sent, as `over` does not."""
    if op.fires == "signed":
        side = np.where(fired == 0, np.sign(v), fired)  # where it would begin, or cease, to fire
        return np.asarray(np.abs(v - side * threshold(op)))
    if op.fires != "round":
        away: FloatArray = np.abs(v - threshold(op))
        return away
    nearest = np.where(over(op, v) > fired, fired + 0.5, fired - 0.5)
    away = np.abs(v - nearest * threshold(op))
    return away


def after(c: Constants, v: FloatArray, fired: Spikes, kind: Any) -> FloatArray:
    """v after the reset of a step."""
    fallen: FloatArray
    if not c.subtract:
        fallen = np.where(fired, kind(c.reset), v)
    elif fired.dtype == bool:
        fallen = np.where(fired, v - kind(c.drop), v)
    else:
        fallen = v - kind(c.drop) * fired.astype(v.dtype)
    return fallen


def constants(op: g.LIF | g.IF) -> Constants:
    """The numbers of `op`."""
    drop = op.drop or op.threshold
    if isinstance(op, g.IF):
        return Constants(
            1.0, 0.0, op.gain, 1.0, 1.0, op.threshold, op.reset, op.subtract, op.start, drop
        )
    return Constants(
        1.0 - op.decay, op.decay * op.leak, op.decay * op.gain, op.syn, op.w_in,
        op.threshold, op.reset, op.subtract, op.start, drop,
    )  # fmt: skip


def follow(op: g.LIF | g.IF, x: NDArray[Any], fired: Spikes, kind: Any = np.float64) -> FloatArray:
    """The membrane [T, ...] before each reset, for currents x [T, ...], reset where torch fired.

    kind: the precision it is computed in, in the order of the graph's own equation.
    """
    c = constants(op)
    decay = kind(op.decay) if isinstance(op, g.LIF) else None
    leak = kind(op.leak) if isinstance(op, g.LIF) else kind(0)
    gain, syn, w_in = kind(op.gain), kind(c.syn), kind(c.w_in)
    v: FloatArray = np.full(x.shape[1:], c.start, kind)
    i: FloatArray = np.zeros(x.shape[1:], kind)
    found: FloatArray = np.empty(x.shape, kind)
    rule = Rule(op)
    for t in range(len(x)):
        before = v
        current = x[t].astype(kind)
        if c.syn != 1 or c.w_in != 1:
            current = i = i + syn * (w_in * current - i)
        v = v + gain * current if decay is None else v + decay * ((leak - v) + gain * current)
        v = rule.held(v, fired[t])
        found[t] = rule.tested(v, before)
        v = after(c, v, fired[t], kind)
    return found


def expanded(op: g.LIF | g.IF, x: NDArray[Any], fired: Spikes, kind: Any) -> FloatArray:
    """As `follow`, in the other order: v <- (1 - decay) v + decay leak + (decay gain) i."""
    c = constants(op)
    keep, pull, gain = kind(c.keep), kind(c.pull), kind(c.gain)
    stay, enter = kind(1 - c.syn), kind(c.syn * c.w_in)
    v: FloatArray = np.full(x.shape[1:], c.start, kind)
    i: FloatArray = np.zeros(x.shape[1:], kind)
    found: FloatArray = np.empty(x.shape, kind)
    rule = Rule(op)
    for t in range(len(x)):
        before = v
        i = stay * i + enter * x[t].astype(kind)
        v = rule.held(keep * v + (pull + gain * i), fired[t])
        found[t] = rule.tested(v, before)
        v = after(c, v, fired[t], kind)
    return found


def error(
    op: g.LIF | g.IF, x: FloatArray, fired: Spikes, unit: float, received: float, rest: float
) -> FloatArray:
    """How far torch's membrane may be from `follow`'s, [T, ...], by rounding alone.

    received  how far the currents may be off;  rest  the potential that the framework counts from,
    where it is not the graph's 0
    """
    c = constants(op)
    v = np.full(x.shape[1:], c.start)
    i = np.zeros(x.shape[1:])
    off = np.full(x.shape[1:], unit * abs(c.start))
    off_i = np.zeros(x.shape[1:])
    found = np.empty(x.shape)
    rule = Rule(op)
    for t in range(len(x)):
        size_i = abs(1 - c.syn) * np.abs(i) + abs(c.syn * c.w_in * x[t])
        i = (1 - c.syn) * i + c.syn * c.w_in * x[t]
        off_i = abs(1 - c.syn) * off_i + abs(c.syn * c.w_in) * received + LOCAL * unit * size_i
        size = 2 * np.abs(v) + abs(c.pull) + np.abs(c.gain * i) + 2 * rest
        v = rule.held(c.keep * v + c.pull + c.gain * i, fired[t])
        off = abs(c.keep) * off + abs(c.gain) * off_i + LOCAL * unit * size
        twice = LOCAL * abs(c.drop) * (op.fires == "twice")
        quotient = LOCAL * np.abs(v) * (op.fires == "round")
        found[t] = off + unit * (abs(c.threshold) * (rest > 0) + twice + quotient)
        v = after(c, v, fired[t], float)
        shed = off + 2 * unit * (np.abs(v) + abs(c.drop) * np.abs(fired[t]))
        off = np.where(fired[t], shed if c.subtract else unit * (abs(c.reset) + rest), off)
    return found


def rounded(op: g.LIF | g.IF, x: NDArray[Any], fired: Spikes, rest: float) -> Spikes:
    """Where rounding took place at all, [T, ...]: elsewhere no order of operations makes a tie.

    x in the framework's precision. A membrane counts as exact if it is the same in float64 and in
    that precision, by the equation in two orders, and still exact with `rest` added.
    """
    kind = x.dtype.type
    if kind is np.float64:  # nothing finer to compare with
        return np.ones(x.shape, bool)
    real = follow(op, x, fired)
    same = (follow(op, x, fired, kind) == real) & (expanded(op, x, fired, kind) == real)
    same &= (real + rest).astype(kind).astype(np.float64) - rest == real
    # a rounding is forgotten at a reset to a value; a subtraction carries it on
    clean = np.ones(x.shape[1:], bool)
    found = np.empty(x.shape, bool)
    subtract = constants(op).subtract
    for t in range(len(x)):
        clean = clean & same[t]
        found[t] = ~clean
        clean = clean | ((fired[t] != 0) & (not subtract))
    return found
