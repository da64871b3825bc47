"""Where a membrane meets its threshold exactly: which whole number stands for a real threshold.

Real constants are float32 numbers or products of a few, so two that lie within `TIE` of each other
are one number (0.3 and three times 0.1), and integers must treat them as one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ....ir.single import TIE

MOST_OFF = 0.25
"""Distance from a whole number up to which a large number can be that number."""


def alike(a: ArrayLike, b: ArrayLike) -> bool:
    """The same numbers up to float32 rounding; only 0 is 0."""
    return bool(np.allclose(a, b, rtol=TIE, atol=0))


def last_silent(threshold: float, reached: bool) -> int:
    """The largest whole membrane that does not fire, for a threshold in the same units.

    reached  the membrane fires on the threshold itself, too
    """
    nearest = int(np.rint(threshold))
    if abs(threshold - nearest) > min(TIE * abs(nearest), MOST_OFF):
        return int(np.floor(threshold))
    return nearest - reached


def threshold_integer(threshold: float, unit: float, reached: bool) -> tuple[int, bool]:
    """vth, the nearest at `unit`, and whether v == vth + 1 stands for `v reaches the threshold`.

    On the chip a_in and vth are shifted by 6 bits: the strict v_int > (n - 1) << 6 fires on n << 6
    itself; exact if v_int is a multiple of 64.
    """
    nearest = int(np.rint(threshold * unit))
    tie = reached and last_silent(threshold * unit, reached=True) == nearest - 1
    tie = tie and last_silent(threshold * unit, reached=False) == nearest
    return (nearest - 1, True) if tie else (nearest, False)


def between(vth: int, threshold: float, reached: bool, grain: float, unit: int) -> int | None:
    """A threshold (times unit) at which each multiple of `grain` fires as it should, or None.

    `vth` itself, where it will do. threshold, grain and unit on one scale.
    """
    silent = last_silent(threshold / grain, reached)
    if silent * grain <= vth * unit < (silent + 1) * grain:
        return vth
    highest = int(np.ceil((silent + 1) * grain / unit)) - 1
    return highest if highest * unit >= silent * grain else None
