"""What neurons hold, and what holds before a sample's first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....toolchain.ground.arith import IntArray
from ..layout import Values


@dataclass(frozen=True, eq=False)
class State:
    """u, v [B, size] of LIF neurons, 32 bits where that is proved; updated in place."""

    u: Values
    v: Values


@dataclass(frozen=True, eq=False)
class InitialConditions:
    """What holds before model step 0, the same in every lane; absent names: zeros.

    sent[name] [steps, size], the last one model step -1; state[name]: u, v [1, size].
    """

    sent: Mapping[str, IntArray] = field(default_factory=dict)
    state: Mapping[str, State] = field(default_factory=dict)
