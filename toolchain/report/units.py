"""Numbers as people read them: SI prefixes, ranges, shares."""

from __future__ import annotations

from math import floor, log10

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def prefix_of(value: float) -> int:
    """The multiple of 3 whose prefix leaves 1..999 (after rounding to 3 digits)."""
    if not value:
        return 0
    digits = log10(abs(value) * (1 + 5e-4))
    return min(max(3 * floor(digits / 3), -15), 12)


def _three_digits(value: float) -> str:
    if not value:
        return "0"
    decimals = max(0, 2 - floor(log10(abs(value) * (1 + 5e-4))))
    return f"{value:.{min(decimals, 3)}f}"


def si(value: float, unit: str) -> str:
    """Three digits and a prefix: 0.00151 J -> '1.51 mJ'."""
    exponent = prefix_of(value)
    return f"{_three_digits(value / 10**exponent)} {PREFIXES[exponent]}{unit}".rstrip()


def si_range(ends: tuple[float, float] | list[float], unit: str) -> str:
    """'0.754 .. 3.01 mJ', both ends with the prefix of the upper one."""
    low, high = ends
    exponent = prefix_of(high)
    parts = [_three_digits(x / 10**exponent) for x in (low, high)]
    return f"{parts[0]} .. {parts[1]} {PREFIXES[exponent]}{unit}".rstrip()


def count(value: float) -> str:
    """Thousands separated; three digits below ten, where means are not whole."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def share(value: float | None, digits: int = 1) -> str:
    """A percentage, '-' for None; 100 % and 0 % are said only of what is exactly that."""
    if value is None:
        return "-"
    text = f"{value:.{digits}%}"
    if 0 < value < 1 and float(text[:-1]) == 0:
        return f"<{10**-digits:.{digits}f}%"
    if 0 < value < 1 and float(text[:-1]) == 100:
        return f">{100 - 10**-digits:.{digits}f}%"
    return text
