"""What a neuron node computes in real numbers, in the form that its populations compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ground.errors import UnsupportedError
from ....ir import graph as g
from ..state.quantizer_state import Inputs


@dataclass(frozen=True, eq=False)
class RealCell:
    """Per model step, with everything that multiplies the input already in the weights:

        i <- keep_i * i + sum_w weights_w . s_w + bias_i
        v <- keep_v * v + i + bias_v (+ first at a sample's first step)
        spike when v > threshold, or where it reaches it;  v <- 0, or v - drop if `subtract`

    A reset to a value is a shift of v, so v starts at start - reset, of which the first step
    keeps `first`. keep_i is 0 without a synaptic current.

    rounded  by wire, what its weights of few bits become (None: the nearest), on a grid at `gain`
             and row by row at powers of two of it; () where nobody looked for them
    """

    keep_i: float
    keep_v: float
    weights: tuple[g.FloatArray, ...]
    bias_i: g.FloatArray
    bias_v: float
    threshold: float
    drop: float
    first: float
    subtract: bool
    reached: bool = False
    rounded: tuple[g.FloatArray | None, ...] = ()
    gain: float = 0.0


def real_cell(node: g.Node, inputs: Inputs) -> RealCell:
    """Raises UnsupportedError SFX-E309 for a threshold below the reset."""
    op = node.op
    assert isinstance(op, g.LIF | g.IF)
    shift = 0.0 if op.subtract else op.reset
    threshold = op.threshold - shift
    if threshold < 0 or (op.reached and threshold == 0):
        raise UnsupportedError(
            "SFX-E309",
            f"the threshold {op.threshold:g} is {'not above' if op.reached else 'below'} the reset "
            f"{shift:g}, so the neuron would fire at rest",
            where=node.module or node.name,
            hint="raise the threshold above the value that the membrane resets to",
        )
    if isinstance(op, g.LIF):
        gain, keep_i, keep_v = op.decay * op.gain * op.syn * op.w_in, 1 - op.syn, 1 - op.decay
        bias_v = op.decay * (op.leak - shift)
    else:
        gain, keep_i, keep_v, bias_v = op.gain, 0.0, 1.0, 0.0
    return RealCell(
        keep_i,
        keep_v,
        tuple(w * gain for w in inputs.weights),
        np.asarray(inputs.bias * gain, np.float64),
        bias_v,
        threshold,
        op.drop or op.threshold,
        keep_v * (op.start - shift),
        op.subtract,
        op.reached,
    )


def is_plain(node: g.Node, own: bool) -> bool:
    """True if one LIF population at any scale says it all: reset to where it starts, no current,
    no loop.
    """
    op = node.op
    assert isinstance(op, g.LIF | g.IF)
    current = isinstance(op, g.LIF) and op.syn != 1.0
    return not (own or op.subtract or current or op.start != op.reset or op.unit)
