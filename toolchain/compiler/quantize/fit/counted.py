"""What is recorded of messages: every spike of one counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ground.arith import IntArray


def counted(target: IntArray, alone: IntArray, sent: IntArray) -> dict[str, Any]:
    """Fields of the record, every spike of a message counted: 3 in the place of 4 misses one."""

    def missed(a: IntArray, b: IntArray) -> int:
        return int(np.maximum(a - b, 0).sum())

    fired = int(target.sum())
    return {
        "agreement": float(np.mean(alone == target)),
        "cumulative": float(np.mean(sent == target)),
        "rate": float(target.mean()),
        "wrong_spikes": (missed(target, sent) + missed(sent, target)) / max(fired, 1),
        "spikes": fired,
        "missed": missed(target, sent),
        "extra": missed(sent, target),
        "missed_alone": missed(target, alone),
        "extra_alone": missed(alone, target),
    }
