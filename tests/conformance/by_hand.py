"""Cases whose expected values were worked out by hand from the published rules.

Each is one fact that is easy to get wrong; the Lava tests check that Intel's processes agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.conformance.cases import Array, Case


def column(*values: int) -> Array:
    """One neuron's series [steps, 1]."""
    return np.array(values, dtype=np.int64)[:, None]


def lif(a_in: Array, s: Array, u: Array, v: Array, **params: int) -> Case:
    """A LIF that forgets everything (du 4095, dv 4096) but for what `params` say."""
    base = {"du": 4095, "dv": 4096, "vth": 10, "bias_mant": 0, "bias_exp": 0}
    kind = "LIFReset" if "interval" in params else "LIF"
    return Case(kind, base | params, {"a_in": a_in}, {"s": s, "u": u, "v": v})


def joint(kind: str, weight: list[Any], s_in: Array, s: Array, **params: Any) -> Case:
    """A connection; delay 1, exponent 0, binary, but for what `params` say."""
    base = {"weight": weight, "exp": 0, "graded": False, "delay": 1}
    return Case(kind, base | params, {"s_in": s_in}, {"s": s})


M = 1 << 23
CASES = {
    "the threshold is strict": lif(
        column(10, 11, 9, 0), column(0, 1, 0, 0), column(640, 704, 576, 0), column(640, 0, 576, 0)
    ),
    "v is reset to zero, u is not": lif(
        column(20, 0, 0), column(1, 1, 1), column(1280, 1280, 1280), column(0, 0, 0), du=-1, dv=0
    ),
    "u reaches 2^23 and wraps only beyond it": lif(
        column(131072, -131072, 131073, -131071),
        column(1, 1, 0, 0),
        column(M, M, -M + 64, -M + 64),
        column(0, 0, -M + 64, -M + 64),
    ),
    "u wraps once, so it can stay outside": lif(
        column(400_000), column(1), column(400_000 * 64 - 2 * M), column(0)
    ),
    "v saturates at 2^23 - 1": lif(
        column(131071, 131071),
        column(0, 0),
        column(M - 64, M - 64),
        column(M - 64, M - 1),
        dv=0,
        vth=131072,
    ),
    "decay rounds toward zero": lif(
        column(-1, 0, 0), column(0, 0, 0), column(-64, -31, -15), column(-64, -31, -15), du=2059
    ),
    "dv 4095 leaves v >> 12": lif(
        column(-100, 0, 0), column(0, 0, 0), column(-6400, 0, 0), column(-6400, -1, 0), dv=4095
    ),
    "a negative bias exponent rounds down": lif(
        column(0, 0), column(0, 0), column(0, 0), column(-2, -2), bias_mant=-3, bias_exp=-1
    ),
    "the bias is not shifted by 6": lif(
        column(0, 0), column(0, 0), column(0, 0), column(640, 640), bias_mant=80, bias_exp=3
    ),
    "a reset comes before the step's input": lif(
        column(5, 5, 5, 5),
        column(0, 0, 0, 0),
        column(320, 640, 320, 640),
        column(320, 640, 320, 640),
        du=-1,
        interval=2,
        offset=1,
    ),
    "graded passes its payload beyond 24 bits": Case(
        "GradedVec",
        {"vth": 2},
        {"a_in": column(2, -2, 3, -3, 1 << 30)},
        {"s": column(0, 0, 3, -3, 1 << 30)},
    ),
    "graded relu drops what is negative": Case(
        "GradedReluVec",
        {"vth": 0},
        {"a_in": column(0, -1, 1, -(1 << 30))},
        {"s": column(0, 0, 1, 0)},
    ),
    "a product wraps before it is shifted": Case(
        "ProdNeuron",
        {"exp": 4, "vth": 0},
        {"a_in1": column(1 << 20, 1 << 16, -3), "a_in2": column(1 << 11, 1 << 16, 5)},
        {"s": column(-(1 << 27), 0, -1)},
    ),
    "mixed signs lose the lowest bit": joint(
        "Dense",
        [[3, 0], [-3, 0], [1, 1], [-1, 2], [0, 300], [0, -300]],
        np.array([[1, 0], [0, 1], [0, 0]]),
        np.array([[0] * 6, [2, -4, 0, -2, 0, 0], [0, 0, 0, 2, 254, -256]]),
    ),
    "one sign keeps it": joint(
        "Sparse",
        [[3, 300], [1, 255]],
        np.array([[1, 0], [0, 1], [0, 0]]),
        np.array([[0, 0], [3, 1], [255, 255]]),
    ),
    "a negative exponent rounds the sum down": joint(
        "Sparse",
        [[-1, -2, -4]],
        np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]]),
        column(0, -1, -1, -2),
        exp=-2,
    ),
    "without payload bits any value counts as one": joint(
        "Dense", [[5]], column(7, -7, 0, 0), column(0, 5, 5, 0)
    ),
    "with payload bits the value counts": joint(
        "Dense", [[5]], column(7, -7, 1 << 30, 0), column(0, 35, -35, 1 << 30), graded=True
    ),
    "a delay of 3 arrives 3 steps later": joint(
        "DelaySparse", [[4]], column(1, 0, 0, 0, 0), column(0, 0, 0, 4, 0), delay=3
    ),
    "so does a dense one, with its exponent": joint(
        "DelayDense", [[-1]], column(3, 0, 0), column(0, 0, -2), delay=2, exp=-1, graded=True
    ),
}
"""What it shows -> the case. 5 * 2^30 wraps to 2^30: 5368709120 - 2^32 = 1073741824."""
