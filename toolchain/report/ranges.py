"""Measured ranges in words: what was proved, what was seen, and what left its range (loudly)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LABEL = "LEFT THEIR RANGE"
"""What stands before the bad news, on every console and page."""


def left_lines(left: Mapping[str, int]) -> list[str]:
    """What a run or a verdict says of its measured ranges; [] for a Program that has none."""
    if not left:
        return []
    total = sum(left.values())
    if not total:
        return [f"{len(left)} measured ranges, nothing left its range"]
    names = ", ".join(f"{n} {count:,}" for n, count in left.items() if count)
    return [
        f"{LABEL}: {total:,} values ({names}); beyond its range a sum may wrap, so the spikes are "
        "those of the hardware but not of the model",
        "calibrate on more samples, or compile with a larger --range-margin (a `.net` file: export "
        "it with more messageBits)",
    ]


def range_lines(ranges: Sequence[Mapping[str, Any]]) -> list[str]:
    """The manifest's `ranges`, one line each below a heading; [] where all are proved."""
    if not ranges:
        return []
    head = (
        f"{len(ranges)} ranges are measured, not proved: the worst case fits no register. "
        "Declared (seen, worst case):"
    )
    return [head, *(_line(r) for r in ranges)]


def _line(r: Mapping[str, Any]) -> str:
    low, high = r["range"]
    seen, proven = ("{:,}..{:,}".format(*r[key]) for key in ("seen", "proven"))
    return f"  {r['population']}  {low:,}..{high:,} ({seen}, {proven}), margin {r['margin']}%"
