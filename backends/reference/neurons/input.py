"""Input: the sample's events."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ..types import Host


def events(x: IntArray, h: int) -> IntArray:
    """Input at hardware step h: x[:, h] while there is data, then zeros. x [B, H, *shape]."""
    return x[:, h] if h < x.shape[1] else np.zeros_like(x[:, 0])


RULE = Host(lambda x, population, h, timesteps: events(x, h))
