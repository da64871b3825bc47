"""What the host feeds: the sample's events and the clock."""

from __future__ import annotations

import numpy as np

from ...toolchain.ground.arith import IntArray


def events(x: IntArray, h: int) -> IntArray:
    """Input at hardware step h: x[:, h] while there is data, then zeros. x [B, H, *shape]."""
    return x[:, h] if h < x.shape[1] else np.zeros_like(x[:, 0])


def tick(h: int, phase: int, timesteps: int) -> int:
    """Clock at hardware step h: 1 where (h - phase) mod T = T-1, also before its phase."""
    return int((h - phase) % timesteps == timesteps - 1)
