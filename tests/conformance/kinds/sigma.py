"""Sigma by hand: the sum of what arrived, one step after it was sent."""

from sfx.toolchain.ir.program import Sigma
from tests.conformance.kind_case import driven

CASES = (driven(Sigma(), [[1], [0], [-4], [7]], 3, [[0], [3], [3], [-9]]),)
