"""Shapes of the functions that the rule files offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...toolchain.ground.arith import IntArray

Synapses = Callable[[IntArray], IntArray]
"""What pre sends [B, pre] -> what post receives [B, post], both flat in C order."""

Ports = Mapping[str, IntArray]
"""Input of a population at one step, by port: [B, *shape]."""
