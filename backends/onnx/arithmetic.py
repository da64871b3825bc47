"""Integer rules in ONNX operators, on int64 values.

ONNX has no arithmetic shift of signed integers: Div truncates toward zero, which is one of the
two shifts needed, and becomes the other (floor) once the low bits are taken away.
"""

from __future__ import annotations

from ...toolchain.ground.arith import INPUT_SHIFT
from ...toolchain.ground.arithmetic import Arithmetic
from ...toolchain.ir.neurons.leaky import Leaky
from .body import Scope


def wrap(at: Scope, x: str, bits: int) -> str:
    """Two's complement wrap: ((x + 2^(b-1)) and (2^b - 1)) - 2^(b-1)."""
    half = at.number(1 << (bits - 1))
    low = at.op("BitwiseAnd", at.op("Add", x, half), at.number((1 << bits) - 1))
    return at.op("Sub", low, half)


def floor_shift(at: Scope, x: str, bits: int) -> str:
    """x >> bits, rounding down: (x - (x and (2^bits - 1))) / 2^bits, which has no remainder."""
    if bits == 0:
        return x
    rest = at.op("BitwiseAnd", x, at.number((1 << bits) - 1))
    return at.op("Div", at.op("Sub", x, rest), at.number(1 << bits))


def decay(at: Scope, x: str, factor: int, widths: Arithmetic) -> str | None:
    """sign(x) * (|x * factor| >> decay_bits) as one truncating Div; None where nothing is left."""
    if factor == 0:
        return None
    if factor == widths.decay_unity:
        return x
    return at.op("Div", at.op("Mul", x, at.number(factor)), at.number(widths.decay_unity))


def wrap_current(at: Scope, u: str, widths: Arithmetic) -> str:
    """The one wrap of the current: at 24 bits u > 2^23 loses 2^24, u <= -2^23 gains it."""
    limit = widths.state_limit
    turn = at.number(2 * limit)
    above = at.op("Greater", u, at.number(limit))
    below = at.op("LessOrEqual", u, at.number(-limit))
    raised = at.op("Where", below, at.op("Add", u, turn), u)
    return at.op("Where", above, at.op("Sub", u, turn), raised)


def leaky(
    at: Scope, n: Leaky, a_in: str, state: tuple[str, ...], widths: Arithmetic
) -> tuple[str, str]:
    """u and v of a step: x = i32(a << 6); u = wrap(tz(u) + x); v = clip(tz(v) + u + bias)."""
    u, v = state
    x = wrap(at, at.op("Mul", a_in, at.number(1 << INPUT_SHIFT)), 32)
    kept = decay(at, u, widths.full_decay - n.du, widths)
    u = wrap_current(at, x if kept is None else at.op("Add", kept, x), widths)
    drive = at.op("Add", u, at.weights(n.bias)) if n.biased else u
    kept = decay(at, v, widths.decay_unity - n.dv, widths)
    v = drive if kept is None else at.op("Add", kept, drive)
    top = widths.state_limit - 1
    return u, at.op("Clip", v, at.number(-top), at.number(top))


def where_above(at: Scope, magnitude: str, value: str, threshold: int) -> str:
    """`value` where `magnitude` > threshold, else 0."""
    fires = at.op("Greater", magnitude, at.number(threshold))
    return at.op("Where", fires, value, at.number(0))
