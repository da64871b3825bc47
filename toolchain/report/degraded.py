"""Layers that integers change noticeably, in words: nobody should have to find that in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .units import share

NOTICED = 0.05
"""Relative error of weights or of a threshold from which it is said."""
FULL_BITS = 7
"""Fewer bits of a weight were asked for, and their error with them."""


def degraded(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Population, what is off (`weights` or `threshold`) and by how much, for `--json`."""
    found: list[dict[str, Any]] = []
    for r in records:
        errors = {"weights": r["weight_error"], "threshold": r["threshold_error"]}
        if r["weight_bits"] < FULL_BITS:
            del errors["weights"]
        for what, error in errors.items():
            if error > NOTICED:
                found.append({"population": r["population"], "what": what, "error": error})
    return found


def degraded_lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same in words, and what helps; [] if nothing is."""
    rows = degraded(records)
    if not rows:
        return []
    lines = [
        f"warning: {r['population']}: rounding changes the {r['what']} by {share(r['error'], 1)}"
        for r in rows
    ]
    help_ = "registers that must hold the worst case leave few bits: fewer steps, a bound on event "
    return [*lines, help_ + "counts (--counts) or a faster decay give more"]
