"""What the first witness found, the torch model beside its float graph, in a line or a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_NAMES = 4


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def witness_lines(found: Mapping[str, Any] | None) -> list[str]:
    """The manifest's `witness` in words; nothing for a model that is not a torch model."""
    if not found:
        return []
    if not found.get("checked"):
        return ["NOT CHECKED: the model was not run beside its graph (--no-check)"]
    samples = found["samples"]
    lines = [
        f"model = graph: {found['compared']:,} values, {found['spikes']:,} spikes, "
        f"{found['differ']:,} differ",
        f"{_many(found['populations'], 'population')}, {_many(samples, 'sample')} "
        f"({found['source']})",
    ]
    if found["ties"]:
        lines.append(f"ties within rounding {found['ties']:,}: torch's membrane at the threshold")
    if found["end_to_end"]:
        lines.append(f"after such ties the graph alone differs in {found['end_to_end']:,} spikes")
    if found["silent"]:
        lines.append(f"never fired, nothing shown there: {_names(found['silent'])}")
    if found["unmatched"]:
        lines.append(f"not compared: {_names(found['unmatched'])}")
    return lines


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
