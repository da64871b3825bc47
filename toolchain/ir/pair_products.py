"""The sum of a product of two broadcast arrays as one matrix product, without the product.

A matmul of two streams is Expand, Expand, Product, ReduceSum in the Graph: exact, but its
product has rows * columns * depth values. Expanded axes have stride 0 in numpy, so the original
matrix product can be found again here.
"""

from __future__ import annotations

import math

from .graph import FloatArray


def _narrow(x: FloatArray) -> tuple[FloatArray, set[int]]:
    """`x` with broadcast axes cut to length 1, and the set of the other axes."""
    wide = {i for i, (n, s) in enumerate(zip(x.shape, x.strides, strict=True)) if n > 1 and s == 0}
    index = tuple(slice(0, 1) if i in wide else slice(None) for i in range(x.ndim))
    return x[index], set(range(x.ndim)) - wide


def contract(a: FloatArray, b: FloatArray, axes: tuple[int, ...]) -> FloatArray:
    """sum(a * b, axis=axes) for `a` and `b` of one shape, equal up to the order of additions."""
    shape, reduced = a.shape, set(axes)
    a, in_a = _narrow(a)
    b, in_b = _narrow(b)
    only_a, only_b = in_a - in_b, in_b - in_a
    a = a.sum(axis=tuple(sorted(only_a & reduced)), keepdims=True)
    b = b.sum(axis=tuple(sorted(only_b & reduced)), keepdims=True)
    batch = sorted((in_a & in_b) - reduced)
    inner = sorted(in_a & in_b & reduced)
    rows, columns = sorted(only_a - reduced), sorted(only_b - reduced)
    missing = sorted(set(range(len(shape))) - in_a - in_b)

    def size(group: list[int]) -> int:
        return math.prod(shape[i] for i in group)

    lead = [shape[i] for i in batch]
    rest_a = [i for i in range(len(shape)) if i not in (*batch, *rows, *inner)]
    rest_b = [i for i in range(len(shape)) if i not in (*batch, *columns, *inner)]
    left = a.transpose([*batch, *rows, *inner, *rest_a]).reshape(*lead, size(rows), size(inner))
    right = b.transpose([*batch, *inner, *columns, *rest_b]).reshape(
        *lead, size(inner), size(columns)
    )
    product = left @ right
    repeated = math.prod(shape[i] for i in missing if i in reduced)
    if repeated > 1:
        product = product * repeated
    order = [*batch, *rows, *columns, *(i for i in missing if i not in reduced)]
    lengths = [1 if i in missing else shape[i] for i in order]
    kept = sorted(order)
    result: FloatArray = product.reshape(lengths).transpose([order.index(i) for i in kept])
    for position, axis in enumerate(kept):
        if result.shape[position] != shape[axis]:
            result = result.repeat(shape[axis], axis=position)
    return result
