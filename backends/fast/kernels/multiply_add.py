"""The inner loop of every convolution: two inputs at a time times their weights, in registers.

Written as vector code for LLVM because no compiler finds these instructions in a plain loop. Bytes:
`pmaddubsw` of x86 multiplies 16 pairs of unsigned by signed bytes and adds each pair into 16 bits.
Words: `pmaddwd` does the same with 16-bit numbers into 32 bits. Elsewhere, products and sums.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .compiled import inlined

TILE = 64
"""Outputs that are summed together: in registers, and their weights in the first-level cache."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_allocate: Any = cgutils.alloca_once
_AVX2 = bool(llvm.get_host_cpu_features().get("avx2", False))


@inlined
def add_taps(
    context: Any, weight: Any, tile: Any, index: Any, value: Any, ends: Any, width: Any,
    capacity: Any, places: Any, taps: Any, chunks: Any, fresh: Any, total: Any,
) -> Any:  # fmt: skip
    """total[o] += (= if fresh) sum over taps and listed inputs of value . weight, o < TILE.

    weight [tiles, taps, pairs, TILE, 2] int8 or int16. Addresses of: index [P, capacity] uint16
    and value [P, capacity] pairs of inputs (unsigned bytes or signed words), listed by input
    position; ends [P, width] int64, where chunks of a list end; places [taps] int32, the input
    position under each tap or -1; total [TILE] int32. Only taps[0]..taps[1]-1 and
    chunks[0]..chunks[1]-1 are summed; sums of bytes must fit 16 bits.
    """
    names = weight, tile, index, value, ends, width, capacity, places, taps, chunks, fresh, total
    return types.void(*names), _build


class _Kind:
    """Bytes or words: types, and how many vectors make a tile."""

    def __init__(self, words: bool) -> None:
        self.words = words
        self.number, self.sum, self.pair = (_I16, _I32, _I32) if words else (_I8, _I16, _I16)
        self.lanes = 8 if words else 16
        self.vectors = TILE // self.lanes
        self.sums = ir.VectorType(self.sum, self.lanes)
        self.numbers = ir.VectorType(self.number, 2 * self.lanes)

    def multiply(self, builder: Any, pairs: Any, weights: Any) -> Any:
        """Sums [lanes] of low * low and high * high; inputs unsigned bytes or signed words."""
        if _AVX2:
            name = "llvm.x86.avx2.pmadd.wd" if self.words else "llvm.x86.avx2.pmadd.ub.sw"
            function = builder.module.declare_intrinsic(
                name, (), ir.FunctionType(self.sums, [self.numbers, self.numbers])
            )
            return builder.call(function, [builder.bitcast(pairs, self.numbers), weights])
        # Both numbers of a pair lie in one lane. Each is shifted to its top and down again, which
        # spreads its sign, or zeros where it has none.
        half = ir.Constant(self.sums, [self.sum.width // 2] * self.lanes)
        both = builder.bitcast(weights, self.sums)
        high = builder.ashr if self.words else builder.lshr
        low = builder.shl(pairs, half)
        first = builder.mul(high(low, half), builder.ashr(builder.shl(both, half), half))
        return builder.add(first, builder.mul(high(pairs, half), builder.ashr(both, half)))


def _build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    weight, tile, index, value, ends, width, capacity, places, taps, chunks, fresh, total = args
    kind = _Kind(signature.args[0].dtype == types.int16)
    array = context.make_array(signature.args[0])(context, builder, weight)
    tile_bytes, tap_bytes = (builder.extract_value(array.strides, k) for k in (0, 1))
    tile_at = builder.add(
        builder.ptrtoint(array.data, _I64), builder.mul(builder.sext(tile, _I64), tile_bytes)
    )
    # One variable per vector and not an array of them: LLVM keeps these in registers throughout.
    sums = [_allocate(builder, kind.sums) for _ in range(kind.vectors)]
    for s in sums:
        builder.store(ir.Constant(kind.sums, [0] * kind.lanes), s)
    first, last = (builder.extract_value(taps, k) for k in (0, 1))
    begin, end = (builder.extract_value(chunks, k) for k in (0, 1))
    where = builder.inttoptr(places, _I32.as_pointer())
    stop_at = builder.inttoptr(ends, _I64.as_pointer())
    lists = [
        builder.inttoptr(index, _I16.as_pointer()),
        builder.inttoptr(value, kind.pair.as_pointer()),
    ]
    with cgutils.for_range_slice(builder, first, last, _I64(1), _I64) as (tap, _):
        place = builder.sext(builder.load(builder.gep(where, [tap])), _I64)
        with builder.if_then(builder.icmp_signed(">=", place, _I64(0))):
            at = builder.mul(place, width)
            one, stop = (
                builder.load(builder.gep(stop_at, [builder.add(at, c)])) for c in (begin, end)
            )
            own = [builder.gep(x, [builder.mul(place, capacity)]) for x in lists]
            tap_at = builder.add(tile_at, builder.mul(tap, tap_bytes))
            row = builder.inttoptr(tap_at, kind.number.as_pointer())
            with cgutils.for_range_slice(builder, one, stop, _I64(1), _I64) as (e, _):
                _add_row(builder, kind, sums, own, row, e)
    _put(builder, kind, sums, fresh, total)
    return context.get_dummy_value()


def _put(builder: Any, kind: _Kind, sums: list[Any], fresh: Any, total: Any) -> None:
    """total [TILE] int32 at this address += `sums`, or = if fresh."""
    wide = ir.VectorType(_I32, kind.lanes)
    target = builder.inttoptr(total, wide.as_pointer())
    for k, s in enumerate(sums):
        at = builder.gep(target, [_I64(k)])
        now = builder.sext(builder.load(s), wide) if not kind.words else builder.load(s)
        before = builder.select(
            fresh, ir.Constant(wide, [0] * kind.lanes), builder.load(at, align=4)
        )
        builder.store(builder.add(before, now), at, align=4)


def _add_row(
    builder: Any, kind: _Kind, totals: list[Any], lists: list[Any], rows: Any, e: Any
) -> None:
    """Entry `e` of the lists times its row of weights, added to `totals`."""
    index, value = lists
    place = builder.zext(builder.load(builder.gep(index, [e]), align=2), _I64)
    row = builder.gep(rows, [builder.mul(place, _I64(2 * TILE))])
    row = builder.bitcast(row, kind.numbers.as_pointer())
    # one pair of inputs for all outputs of the tile: it is the same in every lane
    pair = builder.load(builder.gep(value, [e]), align=2)
    undefined = ir.Constant(kind.sums, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(_I32, kind.lanes), [0] * kind.lanes)
    pairs = builder.shuffle_vector(
        builder.insert_element(undefined, pair, _I32(0)), undefined, everywhere
    )
    for k, total in enumerate(totals):
        weights = builder.load(builder.gep(row, [_I64(k)]), align=1)
        builder.store(
            builder.add(builder.load(total), kind.multiply(builder, pairs, weights)), total
        )


@inlined
def copy_list(
    context: Any, value: Any, index_at: Any, value_at: Any, count: Any, offset: Any, to_index: Any,
    to_value: Any,
) -> Any:  # fmt: skip
    """Copy `count` entries of a list, `offset` added to their index; up to 15 more are overwritten.

    Addresses of index uint16 and values of the type of the array `value`.
    """
    names = value, index_at, value_at, count, offset, to_index, to_value
    return types.void(*names), _build_copy


def _build_copy(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    _, index_at, value_at, count, offset, to_index, to_value = args
    kinds = [ir.VectorType(x, 16) for x in (_I16, ir.IntType(signature.args[0].dtype.bitwidth))]
    undefined = ir.Constant(kinds[0], ir.Undefined)
    first = builder.insert_element(undefined, builder.trunc(offset, _I16), _I32(0))
    everywhere = ir.Constant(ir.VectorType(_I32, 16), [0] * 16)
    added = builder.shuffle_vector(first, undefined, everywhere)
    with cgutils.for_range_slice(builder, _I64(0), count, _I64(16), _I64) as (e, _):
        for source, target, kind in zip(
            (index_at, value_at), (to_index, to_value), kinds, strict=True
        ):
            one, other = (
                builder.bitcast(
                    builder.gep(builder.inttoptr(x, kind.element.as_pointer()), [e]),
                    kind.as_pointer(),
                )
                for x in (source, target)
            )
            # whole vectors, whatever `count` is: the lists have 16 entries to spare at their end
            copied = builder.load(one, align=2)
            if source is index_at:
                copied = builder.add(copied, added)
            builder.store(copied, other, align=2)
    return context.get_dummy_value()
