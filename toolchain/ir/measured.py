"""Where a range comes from that no bound proves: what was seen on data, and a margin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Of a population whose declared range was seen, not proved (semantics 7.1).

    proven_low, proven_high  what it could send by its worst case
    seen_low, seen_high      what it sent on the calibration samples
    margin                   percent of the larger magnitude seen, added on both sides
    """

    proven_low: int
    proven_high: int
    seen_low: int
    seen_high: int
    margin: int

    @property
    def numbers(self) -> Iterator[int]:
        """All of them."""
        yield from (self.proven_low, self.proven_high, self.seen_low, self.seen_high, self.margin)
