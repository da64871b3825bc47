"""SigmaDelta by hand: exponents 0, so that every number is what it looks like; then exponents."""

import numpy as np

from sfx.toolchain.ir.program import SigmaDelta
from tests.conformance.kind_case import driven

FIELD = np.array([2, -1])
CASES = (
    # sigma  0 3 1 1 1 6: its changes, one step after the input; a change of 3 is enough for 3
    driven(
        SigmaDelta(3, np.zeros((), np.int64), 0, 0, 0),
        [[3], [-2], [0], [0], [5], [0]],
        1,
        [[0], [3], [0], [0], [0], [3]],
    ),
    # the same with relu and a bias: x = 2 5 3 and max(-1 + sigma, 0) = 0 2 0
    driven(
        SigmaDelta(1, FIELD, 0, 0, 1),
        [[3, 3], [-2, -4], [0, 0]],
        1,
        [[2, 0], [3, 2], [-2, -2]],
    ),
    # what is sent is shifted down after the remainder is kept: 5 -> 2, and 1 is lost for the reader
    driven(
        SigmaDelta(1, np.zeros((), np.int64), 0, 1, 0),
        [[5], [2], [-9], [0]],
        1,
        [[0], [2], [1], [-5]],
    ),
)
