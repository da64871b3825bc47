"""Wires in torch: x [N, pre size] -> [N, post size], whole numbers in floats, exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..ground.arithmetic import Arithmetic
from ..ir.program import Population, View
from .connections import RULES
from .straight import exact_type, shift
from .wires import Wire

Rule = Callable[[Tensor, "Tensor | None"], Tensor]
"""(x, the trained mantissas or None for the Program's own) -> what post receives."""


def rule(
    wire: Wire, pre: Population, post: Population, widths: Arithmetic, largest: int | None
) -> Rule:
    """Views, connection, exponents. Sums stay exact whatever is trained.

    largest: the greatest weight that training may reach; None: it is not trained
    """
    c = wire.whole.connection
    found = RULES[type(c)]
    kind = exact_type(found.largest_sum(c, largest) * max(-pre.low, pre.high, 1))
    apply = found.apply(c, post.size)
    held = c.weights if wire.low_bits else widths.effective_weights(c.weights)
    own = torch.from_numpy(held).to(kind)

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
