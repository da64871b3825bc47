"""Which steps each population runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ....toolchain.ir.program import Population


@dataclass(frozen=True)
class Window:
    """`steps` steps, the first of them model step -origin."""

    steps: int
    origin: int


@dataclass(frozen=True, eq=False)
class Span:
    """Which steps are run.

    steps  that every population runs, from model step 0 on
    last   or, if given: by population how many of the last steps before model step 0; others: none
    """

    steps: int = 0
    last: Mapping[str, int] | None = None

    def of(self, name: str) -> int:
        """Steps that a population runs."""
        return self.steps if self.last is None else self.last.get(name, 0)

    def origin(self, name: str) -> int:
        """Model step 0, counted from the first step that the population runs."""
        return 0 if self.last is None else self.of(name)

    def window(self, name: str) -> Window:
        """The steps that a population runs."""
        return Window(self.of(name), self.origin(name))

    def begin(self, p: Population) -> int:
        """Step at which a population starts to compute; before it is silent."""
        return 0 if self.last is None else max(0, self.of(p.name) - p.phase)
