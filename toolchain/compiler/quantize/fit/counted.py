"""What is recorded of messages: every spike of one counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ground.arith import IntArray


def _sides(x: IntArray) -> tuple[IntArray, IntArray]:
    return np.maximum(x, 0), np.maximum(-x, 0)


def counted(target: IntArray, alone: IntArray, sent: IntArray) -> dict[str, Any]:
    """Fields of the record, every spike of a message counted: 3 in the place of 4 misses one.

    Spikes of either sign are counted apart: 1 in the place of -1 misses one and has one too many.
    """

    def missed(a: IntArray, b: IntArray) -> int:
        return sum(
            int(np.maximum(x - y, 0).sum()) for x, y in zip(_sides(a), _sides(b), strict=True)
        )

    fired = int(np.abs(target).sum())
    return {
        "agreement": float(np.mean(alone == target)),
        "cumulative": float(np.mean(sent == target)),
        "rate": float(np.abs(target).mean()),
        "wrong_spikes": (missed(target, sent) + missed(sent, target)) / max(fired, 1),
        "spikes": fired,
        "missed": missed(target, sent),
        "extra": missed(sent, target),
        "missed_alone": missed(target, alone),
        "extra_alone": missed(alone, target),
    }
