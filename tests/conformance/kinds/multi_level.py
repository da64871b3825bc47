"""MultiLevel, worked out by hand: 2, 5 and 9 upward, -1 and -4 downward."""

import numpy as np

from sfx.toolchain.ir.program import MultiLevel
from tests.conformance.kind_case import driven

FALLING = [[0, 1, 2, 3, 4, 5, 9, 10]]
CASES = [
    driven(MultiLevel((2, 5, 9)), FALLING, 1, [[0, 0, 0, 1, 1, 1, 2, 3]]),
    driven(MultiLevel((0,)), [[0, 1, 5]], 1, [[0, 1, 1]]),
    driven(MultiLevel((2,), (-1, -4)), FALLING, -1, [[0, 0, -1, -1, -1, -2, -2, -2]]),
    # as the authors round: 0.5, 1.5, 2.5 and 3.5 (of a unit of 2) become 0, 2, 2 and 4
    driven(
        MultiLevel((1, 2, 5, 6)),
        [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
        1,
        [[0, 0, 1, 2, 2, 2, 3, 4, 4, 4]],
    ),
    # a bias of its own for each neuron, and one that sends alone
    driven(
        MultiLevel((1, 3), (-2,), np.array([0, 2, -4])),
        [[0, 0, 0], [2, 2, 2], [4, 1, 4]],
        1,
        [[0, 1, -1], [1, 2, 0], [2, 1, 0]],
    ),
]
