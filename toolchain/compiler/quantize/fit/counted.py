"""What is recorded of integer neurons: every spike of a message counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....ground.arith import IntArray
from ..state.quantizer_state import Inputs, QuantizerState
from ..state.values import Values


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


def measured(
    state: QuantizerState,
    inputs: Inputs,
    sends: Callable[[Mapping[str, Values]], IntArray],
    signed: bool,
) -> dict[str, Any]:
    """Fields of an integer neuron's record on the calibration data, {} without; what it sends there
    is kept for those that read it, and a neuron that is silent is noted.

    sends   what its sources send [K, T, n] -> what it sends [K, T, n]
    signed  it may send numbers below 0
    """
    name = inputs.node.name
    real = state.target(name)
    if real is None:
        return {}
    target = np.rint(real).astype(np.int64)
    alone = sends({w.source: state.as_sent(w.source) for w in inputs.wires})
    sent = sends(state.sent)
    state.sent[name] = sent.astype(np.int8 if signed else np.uint8)
    state.listen(name, target, sent)
    return counted(target, alone, sent)
