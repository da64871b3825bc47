"""The inner loop of every convolution: bytes times bytes, two inputs at a time, in registers.

Written as vector code for LLVM because no compiler finds this instruction in a plain loop: on x86
with AVX2 `pmaddubsw` multiplies 16 pairs of unsigned by signed bytes and adds each pair into 16
bits; elsewhere the same is said with 16-bit products.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
"""16-bit sums in a vector register of 256 bits."""
VECTORS = 4
"""Registers that hold sums: the weights of a tile stay in the first-level cache."""
TILE = LANES * VECTORS
"""Outputs that are summed together."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _SUMS = ir.VectorType(_I8, 2 * LANES), ir.VectorType(_I16, LANES)
_AVX2 = bool(llvm.get_host_cpu_features().get("avx2", False))


def _typed(
    context: Any, acc: Any, index: Any, value: Any, begin: Any, end: Any, weight: Any
) -> Any:
    """acc[o] = sum over e in begin..end-1 of value[e] . weight[index[e], o], o < TILE, wrapping.

    Addresses of: acc [TILE] int16; index [...] uint16; value [...] two unsigned bytes; weight
    [pairs, TILE, 2] int8. No sum of a pair may leave 16 bits.
    """
    return types.void(acc, index, value, begin, end, weight), _build


add_pairs: Any = intrinsic(_typed)
"""Inside compiled code: acc, index, value, begin, end, weight (see `_typed`)."""


def _build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    acc, index, value, begin, end, weight = args
    places = builder.inttoptr(index, _I16.as_pointer())
    values = builder.inttoptr(value, _I16.as_pointer())
    rows = builder.inttoptr(weight, _I8.as_pointer())
    before, head = builder.block, builder.append_basic_block("head")
    body, done = builder.append_basic_block("body"), builder.append_basic_block("done")
    builder.branch(head)
    builder.position_at_end(head)
    e = builder.phi(_I64)
    e.add_incoming(begin, before)
    sums = [builder.phi(_SUMS) for _ in range(VECTORS)]
    for s in sums:
        s.add_incoming(ir.Constant(_SUMS, [0] * LANES), before)
    builder.cbranch(builder.icmp_signed("<", e, end), body, done)
    builder.position_at_end(body)
    added = _add_row(builder, sums, places, values, rows, e)
    for s, new in zip(sums, added, strict=True):
        s.add_incoming(new, body)
    e.add_incoming(builder.add(e, ir.Constant(_I64, 1)), body)
    builder.branch(head)
    builder.position_at_end(done)
    out = builder.inttoptr(acc, _I16.as_pointer())
    for k, s in enumerate(sums):
        builder.store(s, _vector(builder, out, k * LANES, _SUMS), align=2)
    return context.get_dummy_value()


def _add_row(builder: Any, sums: Any, places: Any, values: Any, rows: Any, at: Any) -> list[Any]:
    """`sums` plus entry `at` of the lists times its row of weights."""
    place = builder.zext(builder.load(builder.gep(places, [at]), align=2), _I64)
    row = builder.gep(rows, [builder.mul(place, ir.Constant(_I64, 2 * TILE))])
    undefined = ir.Constant(_SUMS, ir.Undefined)
    pair = builder.load(builder.gep(values, [at]), align=2)
    first = builder.insert_element(undefined, pair, ir.Constant(_I32, 0))
    everywhere = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    pairs = builder.shuffle_vector(first, undefined, everywhere)
    out = []
    for k, s in enumerate(sums):
        weights = builder.load(_vector(builder, row, 2 * LANES * k, _BYTES), align=1)
        out.append(builder.add(s, _multiply(builder, pairs, weights)))
    return out


def _vector(builder: Any, pointer: Any, offset: int, kind: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [ir.Constant(_I64, offset)]), kind.as_pointer())


def _multiply(builder: Any, pairs: Any, weights: Any) -> Any:
    """[LANES] int16: low * low byte + high * high byte; pairs are unsigned, weights signed."""
    if _AVX2:
        kind = ir.FunctionType(_SUMS, [_BYTES, _BYTES])
        function = builder.module.declare_intrinsic("llvm.x86.avx2.pmadd.ub.sw", (), kind)
        return builder.call(function, [builder.bitcast(pairs, _BYTES), weights])
    eight, low = (ir.Constant(_SUMS, [n] * LANES) for n in (8, 255))
    both = builder.bitcast(weights, _SUMS)
    low_product = builder.mul(
        builder.and_(pairs, low), builder.ashr(builder.shl(both, eight), eight)
    )
    high_product = builder.mul(builder.lshr(pairs, eight), builder.ashr(both, eight))
    return builder.add(low_product, high_product)
