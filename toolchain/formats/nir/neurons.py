"""A neuron of a NIR file as the framework that wrote it computes it (`conventions`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from ...ir import graph as g
from .conventions import Convention, NirOptions

FEW_DIGITS = 4
"""Decimals of a constant that a person typed, such as a beta of 0.9."""
ROUNDING = 1.5e-7
"""What a constant is off after two or three float32 operations on numbers of size 1."""


@dataclass(frozen=True)
class Reader:
    """The rules of one file.

    dt         seconds of a step
    recurrent  the neuron feeds back to itself
    """

    options: NirOptions
    dt: float
    recurrent: bool = False

    @property
    def rules(self) -> Convention:
        """The convention."""
        return self.options.rules

    def decay(self, tau: float) -> float:
        """Share of a state that one step takes away; above 1 or below 0 where tau is too short."""
        if tau <= 0:
            return math.inf
        if self.rules.tau == "steps":
            return 1.0 - _float32(math.exp(-1 / tau))
        if self.rules.tau == "exponential":
            return 1.0 - _float32(math.exp(-self.dt / tau))
        share = self.dt / tau * (self.dt if self.rules.tau == "norse-1.1" else 1.0)
        if not self.rules.rounded or not 0 < share < 1 + ROUNDING:
            return share
        if self.rules.rounded == "loses":
            return _float32(share)
        return 1.0 - _float32(1.0 - share)

    def neuron(self, op: g.LIF | g.IF, kind: str = "LIF") -> g.LIF | g.IF:
        """The neuron that the framework runs, from NIR's equations of the same numbers.

        kind  whose input it takes: `LIF`, or `LI` of a membrane that never fires
        """
        op = self._lost(self._inputs(op, kind))
        op = self._reset(op)
        if self.rules.start == "reset":
            op = replace(op, start=op.reset)
        elif self.rules.start == "leak" and isinstance(op, g.LIF):
            op = replace(op, start=op.leak)
        if self.rules.many and self.rules.most != 1:
            op = replace(op, fires="many", most=self.rules.most)
        if self.rules.floor is not None:
            op = replace(op, floor=self.rules.floor)
        if self.rules.integers:
            op = _lava_integers(op)
        if self.rules.reached:
            op = replace(op, reached=True)
        return op

    def _inputs(self, op: g.LIF | g.IF, kind: str) -> g.LIF | g.IF:
        whole = self.rules.whole
        if isinstance(op, g.IF):
            return replace(op, gain=1.0) if "IF" in whole else op
        if op.syn == op.w_in == 1.0:
            op = replace(op, gain=1.0 / op.decay) if kind in whole else op
        else:
            if "current" in whole:
                op = replace(op, w_in=1.0 / op.syn)
            if "decayed" in whole:
                op = replace(op, w_in=(1.0 - op.syn) / op.syn)
            if "membrane" in whole:
                op = replace(op, gain=1.0 / op.decay)
        return _unrounded(op) if self.rules.rounded else op

    def _lost(self, op: g.LIF | g.IF) -> g.LIF | g.IF:
        """What the framework's neuron has and its exporter leaves out, as the options say it."""
        if isinstance(op, g.IF):
            return op
        if self.rules.bias:
            op = replace(op, leak=self.rules.bias / op.decay)
        if self.rules.tau_syn:
            syn = self.decay(self.rules.tau_syn)
            op = replace(op, syn=syn, w_in=(1.0 - syn) / syn)
        return op

    def _after_decay(self, op: g.LIF | g.IF) -> TypeGuard[g.LIF]:
        """Whether a delayed reset is subtracted after v has decayed, not as by spyx's CuBaLIF."""
        return isinstance(op, g.LIF) and not (self.rules.late and op.syn != 1.0)

    def _reset(self, op: g.LIF | g.IF) -> g.LIF | g.IF:
        rules, to = self.rules, self.options.reset_to
        kind = self.options.reset or (None if op.subtract else rules.reset)
        if kind is None:
            return op
        if to is not None:
            return replace(op, subtract=False, reset=to)
        if kind != "subtract":
            reset = 0.0 if kind == "zero" else op.reset
            current = isinstance(op, g.LIF) and op.syn != 1.0
            if rules.delayed and kind == "zero" and (current or self.recurrent):
                op = replace(op, hold=1)
            return replace(op, subtract=False, reset=reset)
        op = replace(op, subtract=True, reset=0.0, fires="twice" if rules.again else "once")
        if rules.delayed and self._after_decay(op) and op.decay < 1.0:
            op = replace(op, drop=op.threshold / (1.0 - op.decay))
        return op


def _unrounded(op: g.LIF) -> g.LIF:
    """r = tau / dt is meant as 'added whole' where it is that up to float32."""
    if abs(op.decay * op.gain - 1.0) < 4 * ROUNDING:
        op = replace(op, gain=1.0 / op.decay)
    if abs(op.syn * op.w_in - 1.0) < 4 * ROUNDING:
        op = replace(op, w_in=1.0 / op.syn)
    return op


def _float32(value: float) -> float:
    """The float32 number that a float32 computation of `value` started from: a short decimal, if
    one is within its rounding, else the nearest.
    """
    for digits in range(1, FEW_DIGITS + 1):
        if abs(round(value, digits) - value) <= ROUNDING:
            return float(np.float32(round(value, digits)))
    return float(np.float32(value))


def _lava_integers(op: g.LIF | g.IF) -> g.LIF | g.IF:
    """dv = int(4095 dt/tau), vth = int(131071 threshold) >> 9, weights int(256 w dt/tau)."""
    threshold = (int(131071 * op.threshold) >> 9) / 256
    op = replace(op, threshold=threshold, unit=256.0)
    if isinstance(op, g.IF):
        return op
    dv = max(1, int(4095 * op.decay)) / 4096
    du = max(1, int(4095 * op.syn)) / 4096 if op.syn < 1 else 1.0
    return replace(op, decay=dv, syn=du, gain=op.gain * op.decay / dv, w_in=op.w_in * op.syn / du)
