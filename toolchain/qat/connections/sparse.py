"""Sparse: Dense that stores only the synapses that exist."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...ir.program import Sparse
from ..rules import ConnectionRule


def selected(c: Sparse, post: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A general sparse matrix; post neurons in rows."""
    rows = torch.from_numpy(np.repeat(np.arange(post), np.diff(c.indptr)))
    columns = torch.from_numpy(c.indices)
    one_each = np.array_equal(c.indptr, np.arange(post + 1))

    def apply(x: Tensor, weight: Tensor) -> Tensor:
        picked = x[:, columns.to(x.device)] * weight
        if one_each:
            return picked
        return x.new_zeros(len(x), post).index_add(1, rows.to(x.device), picked)

    return apply


RULE = ConnectionRule(selected, lambda c, most: float(abs(c.data).sum()))
