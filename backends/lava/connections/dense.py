"""Dense: stays Dense, but for what is seen through views."""

from __future__ import annotations

from ....toolchain.ir.program import Dense, Population, Projection
from ..rules import ConnectionRule, Kind, as_matrix


def choose(projection: Projection, pre: Population) -> Kind:
    """Dense or DelayDense; a sparse matrix if neurons are permuted."""
    if projection.pre_view is not None or projection.post_view is not None:
        return as_matrix(projection, pre)
    return "DelayDense" if projection.delay > 1 else "Dense"


def stored(c: Dense, kind: Kind) -> int:
    """int64."""
    return int(c.weight.size) * 8


RULE = ConnectionRule(choose, stored)
