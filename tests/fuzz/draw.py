"""Choices read off a string of bytes: what a fuzzer mutates, and what a test draws at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """The same bytes make the same choices; when they run out, each choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._left = iter(data)

    def integer(self, low: int, high: int) -> int:
        """A number in low..high, both included."""
        span, number = high - low, 0
        while span:
            number = number << 8 | next(self._left, 0)
            span >>= 8
        return low + number % (high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`."""
        return options[self.integer(0, len(options) - 1)]
