"""A target as plain tables, the inverse of `parse`: how a bundle carries its target."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .target import Target


def to_table(target: Target) -> dict[str, Any]:
    """The dict that `parse` reads back into an equal target (JSON values only)."""
    limits = {
        name: {
            "value": list(value) if isinstance(value, tuple) else value,
            "source": target.limit_sources.get(name, "default"),
        }
        for name, value in asdict(target.limits).items()
    }
    costs = {name: asdict(q) for name, q in target.costs.items()}
    return {"name": target.name, "title": target.title, "limits": limits, "costs": costs}
