"""One step of LIF neurons in 32 bits, as vector code for LLVM.

In a plain loop over so many arrays the compiler cannot prove that they do not overlap, and uses
no vector instructions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ....toolchain.ground.arith import INPUT_SHIFT
from .compiled import inlined

LANES = 16
"""Neurons updated together."""
FORGOTTEN = 32
"""Instead of a shift: nothing is left of u, and it never leaves the width of the state."""
_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))


@inlined
def lif_step(
    context: Any, size: Any, total: Any, shift: Any, extra: Any, u: Any, v: Any, bias: Any,
    decays: Any, out: Any, events: Any, active: Any,
) -> Any:  # fmt: skip
    """`neuron_kernels.lif` for one step of `size` neurons.

    They receive (total << shift[0] >> shift[1]) + extra. Addresses of int32: total, extra (0:
    nothing), u, v (updated), bias; of bytes: out (written), events, active (counted). decays [7]
    int32: factors of u and v (fractions of 2^d), threshold << 6, then the same factors as right
    shifts, both -1 if one is no power of two (31: nothing is left), d, and the largest v, 2^(s-1)
    - 1 for a state of s bits. Sizes: d <= 15, s <= 30; (inputs << 6) <= 2^(s-1) and |u| <= 2^(s-1),
    or inputs <= 2^24 with factor 0 of u; |bias| <= 2^24: then no sum leaves 32 bits, and u wraps
    once. With factor 0 and (inputs << 6) <= 2^(s-1) the shift of u may be FORGOTTEN, which is
    quicker.
    """
    names = size, total, shift, extra, u, v, bias, decays, out, events, active
    return types.void(*names), _build


def _build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    size, total, shift, extra, u, v, bias, decays, out, events, active = args
    decays = context.make_array(signature.args[7])(context, builder, decays).data
    fu, fv, limit, shift_u, shift_v, bits, top = (
        builder.load(builder.gep(decays, [_I64(k)])) for k in range(7)
    )
    shift = [builder.trunc(builder.extract_value(shift, k), _I32) for k in (0, 1)]
    step = _Step(
        builder, size, shift, (limit, bits, top), (total, extra, u, v, bias), (out, events, active)
    )
    with builder.if_else(builder.icmp_signed("==", shift_u, _I32(FORGOTTEN))) as (short, longer):
        with short:
            step.all(shift_u, shift_v, None, _shifted)
        with longer, builder.if_else(builder.icmp_signed(">=", shift_u, _I32(0))) as (a, b):
            with a:
                step.all(shift_u, shift_v, _shifted, _shifted)
            with b:
                step.all(fu, fv, _multiplied, _multiplied)
    return context.get_dummy_value()


class _Step:
    """Where the arrays of a step are."""

    def __init__(
        self, builder: Any, size: Any, shift: Any, widths: Any, states: Any, flags: Any
    ) -> None:
        self.builder, self.size, self.shift, self.widths = builder, size, shift, widths
        self.more = builder.icmp_signed("!=", states[1], _I64(0))
        # Without `extra` its lanes are loaded all the same, from anything that can be read, and
        # dropped by a select: a branch in the loop would keep LLVM from using vectors.
        states = (states[0], builder.select(self.more, states[1], states[0]), *states[2:])
        self.states = [builder.inttoptr(x, _I32.as_pointer()) for x in states]
        self.flags = [builder.inttoptr(x, _I8.as_pointer()) for x in flags]

    def all(self, by_u: Any, by_v: Any, decay_u: Any, decay_v: Any) -> None:
        """Every neuron, LANES at a time, then those that are left."""
        lanes = _I64(LANES)
        done = self.builder.mul(self.builder.sdiv(self.size, lanes), lanes)
        for x, begin, end in (
            (_Vector(self.builder, LANES), _I64(0), done),
            (_Vector(self.builder, 1), done, self.size),
        ):
            self._loop(x, begin, end, x.spread(by_u), x.spread(by_v), decay_u, decay_v)

    def _loop(
        self, x: _Vector, begin: Any, end: Any, by_u: Any, by_v: Any, decay_u: Any, decay_v: Any
    ) -> None:
        builder = self.builder
        left, right, limit, bits, top = (x.spread(y) for y in (*self.shift, *self.widths))
        bottom, half = builder.neg(top), builder.add(top, x.all(1))
        with cgutils.for_range_slice(builder, begin, end, _I64(x.lanes), _I64) as (i, _):
            at = [x.at(y, i, _I32) for y in self.states]
            total, extra, u, v, bias = (builder.load(y, align=4) for y in at)
            now = builder.ashr(builder.shl(total, left), right)
            now = builder.add(now, builder.select(self.more, extra, x.all(0)))
            # active: whatever has to be updated, as the chip counts it (before the decay)
            some = builder.or_(builder.or_(now, u), builder.or_(v, bias))
            arrived = builder.shl(now, x.all(INPUT_SHIFT))
            if decay_u is None:  # nothing is left of u, and its input alone needs no turn
                u = arrived
            else:
                u = x.turned(builder.add(decay_u(x, u, by_u, bits), arrived), half)
            v = builder.add(builder.add(decay_v(x, v, by_v, bits), u), bias)
            v = x.select(">", v, top, top, v)
            v = x.select("<", v, bottom, bottom, v)
            spike = builder.icmp_signed(">", v, limit)
            # align=4: a tile begins at any neuron, and vector loads would expect 64 bytes
            builder.store(u, at[2], align=4)
            builder.store(builder.select(spike, x.all(0), v), at[3], align=4)
            self._flag(x, i, spike, builder.icmp_signed("!=", some, x.all(0)))

    def _flag(self, x: _Vector, i: Any, spike: Any, awake: Any) -> None:
        builder = self.builder
        spike, awake = (builder.zext(y, x.bytes) for y in (spike, awake))
        out, events, active = (x.at(y, i, _I8) for y in self.flags)
        builder.store(spike, out, align=1)
        for at, y in ((events, spike), (active, awake)):
            builder.store(builder.add(builder.load(at, align=1), y), at, align=1)


class _Vector:
    """Numbers of 32 bits side by side."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.type, self.bytes = ir.VectorType(_I32, lanes), ir.VectorType(_I8, lanes)

    def at(self, pointer: Any, i: Any, kind: Any) -> Any:
        """Where number `i` and those after it are."""
        place = self.builder.gep(pointer, [i])
        return self.builder.bitcast(place, ir.VectorType(kind, self.lanes).as_pointer())

    def all(self, value: int) -> Any:
        """A constant."""
        return ir.Constant(self.type, [value] * self.lanes)

    def spread(self, value: Any) -> Any:
        """The same value everywhere."""
        undefined = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(undefined, value, _I32(0))
        return self.builder.shuffle_vector(one, undefined, self.all(0))

    def select(self, how: str, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
        """Where a is `how` b: then, elsewhere: otherwise."""
        return self.builder.select(self.builder.icmp_signed(how, a, b), then, otherwise)

    def turned(self, u: Any, half: Any) -> Any:
        """u within -half (not itself) to half, if it is at most one turn away."""
        turn = self.builder.add(half, half)
        over = self.builder.sub(u, turn)
        under = self.builder.add(u, turn)
        low = self.select("<=", u, self.builder.neg(half), under, u)
        return self.select(">", u, half, over, low)


def _shifted(x: _Vector, value: Any, by: Any, bits: Any) -> Any:
    """value >> by toward zero: what a negative one would lose by rounding down is added first."""
    builder = x.builder
    below = builder.sub(builder.shl(x.all(1), by), x.all(1))
    lost = builder.and_(builder.ashr(value, x.all(31)), below)
    return builder.ashr(builder.add(value, lost), by)


def _multiplied(x: _Vector, value: Any, factor: Any, bits: Any) -> Any:
    """value * factor >> bits toward zero for |value| <= 2^30, factor <= 2^bits: in two parts."""
    builder = x.builder  # the whole product would not fit into 32 bits
    size = x.select("<", value, x.all(0), builder.neg(value), value)
    below = builder.sub(builder.shl(x.all(1), bits), x.all(1))
    high = builder.mul(builder.lshr(size, bits), factor)
    low = builder.lshr(builder.mul(builder.and_(size, below), factor), bits)
    out = builder.add(high, low)
    return x.select("<", value, x.all(0), builder.neg(out), out)
