"""LI by hand: integrators, half decays of either sign, a bias, saturation."""

import numpy as np

from sfx.toolchain.ir.program import LI
from tests.conformance.kind_case import driven

FULL = 4095
CASES = (
    # no decay of v, u forgotten at once: 64 for each event
    driven(LI(FULL, 0), [[1], [0], [2], [0]], 1, [[64], [64], [192], [192]]),
    # half of u and half of v stay, both rounded toward zero (as LIF in semantics 2.1)
    driven(
        LI(2047, 2048),
        [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]],
        -1,
        [[-64, 0], [-64, -64], [-48, -64], [-32, -48], [-20, -32], [-12, -20]],
    ),
    # no decay of the current: it adds up, and the membrane adds that up
    driven(LI(-1, 0), [[1], [1], [0]], 1, [[64], [192], [320]]),
    # a bias of its own for each neuron, shifted left by 1; nothing resets what passes any level
    driven(
        LI(FULL, 0, np.array([3, -4]), 1),
        [[0, 0], [1, 1], [0, 0]],
        100,
        [[6, -8], [6412, 6384], [6418, 6376]],
    ),
    # the membrane saturates at 2^23 - 1 and leaves it again: 255 << 7 is 32640 a step
    driven(
        LI(FULL, 0, np.array([4095]), 7),
        [[1]] * 3 + [[0]] * 17,
        255,
        [[min((t + 1) * 524160 + min(t + 1, 3) * 16320, 8388607)] for t in range(20)],
    ),
)
