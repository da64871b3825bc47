"""Wires in torch: x [N, pre size] -> [N, post size], whole numbers in floats, exact."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..ground.arithmetic import Arithmetic
from ..ground.errors import UnsupportedError
from ..ir.program import Conv2d, Dense, Population, Sparse, Structured, View
from .straight import exact_type, shift
from .wires import Wire

Rule = Callable[[Tensor, "Tensor | None"], Tensor]
"""(x, the trained mantissas or None for the Program's own) -> what post receives."""


def rule(
    wire: Wire, pre: Population, post: Population, widths: Arithmetic, *, trained: bool
) -> Rule:
    """Views, connection, exponents. Sums stay exact whatever is trained."""
    c = wire.whole.connection
    kind = exact_type(
        _largest_sum(c, widths.weight_limit if trained else None) * max(-pre.low, pre.high, 1)
    )
    apply = _connect(c, post)
    own = torch.from_numpy(widths.effective_weights(c.weights)).to(kind)

    def project(x: Tensor, trained_weight: Tensor | None) -> Tensor:
        weight = (own if trained_weight is None else trained_weight).to(x.device, kind)
        x = _viewed(x.to(kind), wire.whole.pre_view)
        out = _viewed(apply(x, weight), wire.whole.post_view)
        return shift(out, wire.exponents).float()

    return project


def _viewed(x: Tensor, view: View | None) -> Tensor:
    """View.apply on [N, size]."""
    if view is None:
        return x
    split = x.reshape(len(x), *view.split)
    return split.permute(0, *(o + 1 for o in view.order)).reshape(len(x), -1)


def _largest_sum(c: object, trained: int | None) -> float:
    """Largest sum per unit of input; trained: the magnitude that weights may take, None: theirs."""
    match c:
        case Dense() | Conv2d():
            rows = c.weight.reshape(len(c.weight), -1)
            if trained is not None:
                return float(trained * rows.shape[1])
            return float(abs(rows).sum(1).max(initial=0))
        case Sparse():
            return float(abs(c.data).sum())
        case Structured():
            kept = dict(c.post)
            return abs(c.weight) * float(prod(n for label, n in c.pre if label not in kept))
    raise UnsupportedError("SFX-E360", f"no torch rule for the connection {type(c).__name__}")


def _connect(c: object, post: Population) -> Callable[[Tensor, Tensor], Tensor]:
    match c:
        case Dense():
            return functional.linear
        case Conv2d():
            return lambda x, w: _convolved(c, x, w)
        case Structured():
            return lambda x, w: _spread(c, x) * w
        case Sparse():
            return _selected(c, post)
    raise UnsupportedError("SFX-E360", f"no torch rule for the connection {type(c).__name__}")


def _convolved(c: Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    """Direct sums of products, which are exact on whole numbers; cuDNN might choose FFT."""
    image = x.reshape(len(x), *c.in_shape)
    if c.weight.shape[2:] == (1, 1) and c.groups == 1 and (*c.stride, *c.padding) == (1, 1, 0, 0):
        return torch.matmul(weight.flatten(1), image.flatten(2)).reshape(len(x), -1)
    with torch.backends.cudnn.flags(enabled=False):
        out = functional.conv2d(image, weight, None, c.stride, c.padding, c.dilation, c.groups)
    return out.reshape(len(x), -1)


def _spread(c: Structured, x: Tensor) -> Tensor:
    """Sums the labels only in pre, repeats along those only in post."""
    x = x.reshape(len(x), *(n for _, n in c.pre))
    kept = [label for label, _ in c.post if label in dict(c.pre)]
    before = [label for label, _ in c.pre]
    summed = [1 + i for i, label in enumerate(before) if label not in kept]
    if summed:
        x = x.sum(summed)
    left = [label for label in before if label in kept]
    x = x.permute(0, *(1 + left.index(label) for label in kept))
    x = x.reshape(len(x), *(n if label in kept else 1 for label, n in c.post))
    return x.expand(len(x), *(n for _, n in c.post)).reshape(len(x), -1)


def _selected(c: Sparse, post: Population) -> Callable[[Tensor, Tensor], Tensor]:
    """A general sparse matrix; post neurons in rows."""
    rows = torch.from_numpy(np.repeat(np.arange(post.size), np.diff(c.indptr)))
    columns = torch.from_numpy(c.indices)
    one_each = np.array_equal(c.indptr, np.arange(post.size + 1))

    def apply(x: Tensor, weight: Tensor) -> Tensor:
        picked = x[:, columns.to(x.device)] * weight
        if one_each:
            return picked
        return x.new_zeros(len(x), post.size).index_add(1, rows.to(x.device), picked)

    return apply
