"""Input: the sample's events."""

from __future__ import annotations

from collections.abc import Callable

from ....toolchain.ir.program import Population
from ..body import Scope
from ..forms import Host, Sent


def sends(at: Scope, p: Population, events: str, timesteps: int, now: Callable[[int], str]) -> Sent:
    """The events as they are."""
    return Sent(at.op("Identity", events))


RULE = Host(sends)
