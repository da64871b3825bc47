"""Integer neurons that send numbers though binary slots were asked for, in words."""

from __future__ import annotations

from collections.abc import Sequence


def graded_lines(names: Sequence[str]) -> list[str]:
    """The manifest's `graded` by name, and why; [] for none."""
    if not names:
        return []
    return [
        f"warning: {len(names)} integer neurons send numbers, not the binary slots that were asked "
        f"for: {', '.join(names)}",
        "they keep a membrane from step to step; slots are for neurons without one, or for T = 1",
    ]
