"""Writes tests/conformance/cases from Lava: `python -m tests.conformance.regenerate [KIND ...]`."""

from __future__ import annotations

import sys

from tests.conformance import cases
from tests.conformance.cases import KINDS, STORED
from tests.conformance.draw import draw
from tests.conformance.lava import answers

SEED = 2025
"""Not the seed that the tests against Lava start from, so that the two are different cases."""


def main(kinds: list[str]) -> None:
    """Draw, ask Lava, store."""
    for kind in kinds or KINDS:
        drawn = draw(kind, STORED, SEED)
        found = [c.having(a) for c, a in zip(drawn, answers(drawn), strict=True)]
        cases.write(kind, found)
        print(f"{kind}: {len(found)} cases, {cases.path(kind).stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
