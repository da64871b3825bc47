"""One population's neuron program -> nodes (integer semantics, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...toolchain.ground.arith import scale_exponent
from ...toolchain.ir.program import LIF, Clock, Graded, GradedReLU, Population, Product
from .arithmetic import decay, floor_shift, wrap, wrap_current
from .body import Scope


@dataclass(frozen=True)
class Sent:
    """Names of what a population sends (int64, or bool for a LIF) and of its new state."""

    spikes: str
    u: str = ""
    v: str = ""


def compute(at: Scope, p: Population, ports: Mapping[str, str], state: tuple[str, str]) -> Sent:
    """One step of a population. ports: name -> int64 [*shape]; state: u and v, after the reset."""
    n = p.neuron
    if isinstance(n, LIF):
        return _lif(at, p, n, ports["a_in"], *state)
    if isinstance(n, Graded):
        return Sent(_where_above(at, at.op("Abs", ports["a_in"]), ports["a_in"], n.vth))
    if isinstance(n, GradedReLU):
        return Sent(_where_above(at, ports["a_in"], ports["a_in"], n.vth))
    if isinstance(n, Product):
        full = wrap(at, at.op("Mul", ports["a_in1"], ports["a_in2"]), 32)
        v = floor_shift(at, full, n.exp)
        return Sent(_where_above(at, at.op("Abs", v), v, n.vth))
    raise TypeError(f"no ONNX form for {type(n).__name__}")


def _where_above(at: Scope, magnitude: str, value: str, threshold: int) -> str:
    """`value` where `magnitude` > threshold, else 0."""
    fires = at.op("Greater", magnitude, at.number(threshold))
    return at.op("Where", fires, value, at.number(0))


def _lif(at: Scope, p: Population, n: LIF, a_in: str, u: str, v: str) -> Sent:
    """x = i32(a << 6); u, v decay and add; s = v > vth << 6, strict; v = 0 where s."""
    x = wrap(at, at.op("Mul", a_in, at.number(64)), 32)
    kept = decay(at, u, 4095 - n.du)
    u = wrap_current(at, x if kept is None else at.op("Add", kept, x))
    bias = scale_exponent(n.bias_mant, n.bias_exp)
    drive = at.op("Add", u, at.weights(bias)) if bias.any() else u
    kept = decay(at, v, 4096 - n.dv)
    v = drive if kept is None else at.op("Add", kept, drive)
    top = (1 << 23) - 1
    v = at.op("Clip", v, at.number(-top), at.number(top))
    fires = at.op("Greater", v, at.number(n.vth << 6))
    return Sent(fires, u, at.op("Where", fires, at.number(0), v))


def sends_bool(p: Population) -> bool:
    """Whether its spikes are bool in the model: LIFs and clocks; all others send int64."""
    return isinstance(p.neuron, LIF | Clock)
