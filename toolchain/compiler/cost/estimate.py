"""Numbers with an error bar and the sources of the constants behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...targets.target import Quantity


@dataclass(frozen=True)
class Estimate:
    """A value in SI units with its low and high end.

    Ends are the value with every constant at its own end: constants are taken to err together,
    because most come from one fit. `constants` are the names of the target's costs used.
    """

    value: float
    low: float
    high: float
    unit: str
    constants: tuple[str, ...] = ()

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.value + other.value,
            self.low + other.low,
            self.high + other.high,
            self.unit,
            _join(self.constants, other.constants),
        )

    def times(self, factor: Estimate, unit: str) -> Estimate:
        """The product of two non-negative estimates, in `unit`."""
        return Estimate(
            self.value * factor.value,
            self.low * factor.low,
            self.high * factor.high,
            unit,
            _join(self.constants, factor.constants),
        )

    def scaled(self, count: float) -> Estimate:
        """`count` >= 0 times this."""
        return replace(self, value=self.value * count, low=self.low * count, high=self.high * count)

    def inverse(self, unit: str) -> Estimate:
        """1 / this, for a positive estimate."""
        return Estimate(1 / self.value, 1 / self.high, 1 / self.low, unit, self.constants)

    @property
    def range(self) -> list[float]:
        """[low, high], for JSON."""
        return [self.low, self.high]


def _join(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*a, *b)))


def zero(unit: str) -> Estimate:
    """Nothing, exactly."""
    return Estimate(0.0, 0.0, 0.0, unit)


def constant(costs: Mapping[str, Quantity], name: str) -> Estimate | None:
    """The cost called so as an estimate; None where the target does not give it."""
    q = costs.get(name)
    if q is None:
        return None
    return Estimate(q.value, q.value * q.low, q.value * q.high, q.unit, (name,))


def charge(costs: Mapping[str, Quantity], counts: Mapping[str, float], unit: str) -> Estimate:
    """Sum over names of count * cost; costs that the target does not give are left out."""
    total = zero(unit)
    for name, count in counts.items():
        each = constant(costs, name)
        if each is not None and count:
            total = total + each.scaled(count)
    return total
