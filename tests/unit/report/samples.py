"""A placed toy net with spikes and counts, for the report's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.report.collect import collect
from sfx.toolchain.targets import Target, load
from tests.unit.cost.toy import Counts
from tests.unit.mapping.in_order import in_order
from tests.unit.mapping.programs import transformer_like

SAMPLES, STEPS = 3, 6
MANIFEST: dict[str, Any] = {
    "model": {"name": "toy <b>&amp; net", "sha256": "abc"},
    "versions": {"sfx": "0.1.0"},
    "quantization": [
        {
            "population": "stem",
            "scale": 42.125,
            "weight_bits": 8,
            "exact": False,
            "clipped": 2,
            "weight_error": 0.01,
            "threshold_error": 0.0,
            "decay_error": 0.0,
            "agreement": 0.994,
            "cumulative": None,
            "rate": 0.1,
            "wrong_spikes": None,
        },
    ],
}


def target(neurons_per_core: int = 24) -> Target:
    """A Loihi 2 with small cores, so that the net spreads over many."""
    base = load("loihi2")
    return replace(
        base,
        limits=replace(base.limits, neurons_per_core=neurons_per_core, stateful_neurons_per_core=0),
    )


def toy() -> tuple[PlacedProgram, dict[str, np.ndarray], Counts]:
    """Random spikes of 3 samples back to back, none outside a population's own steps."""
    program = transformer_like(STEPS)
    rng = np.random.default_rng(0)
    steps = SAMPLES * STEPS + program.last_phase
    spikes, events = {}, {}
    for p in program:
        s = (rng.random((steps, p.size)) < 0.2) * rng.integers(1, p.high + 1, (steps, p.size))
        s[: p.phase] = 0
        s[p.phase + SAMPLES * STEPS :] = 0
        body = s[p.phase : p.phase + SAMPLES * STEPS].reshape(SAMPLES, STEPS, *p.shape)
        spikes[p.name] = s.reshape(steps, *p.shape)
        events[p.name] = (body != 0).sum(axis=0)
    return in_order(program, target()), spikes, Counts(SAMPLES, events)


def values(*, counted: bool = True) -> dict[str, Any]:
    """The report's values, with or without counts."""
    placed, _, counts = toy()
    if not counted:
        return collect(placed, None, None, MANIFEST, target())
    return collect(placed, counts, 0.875, MANIFEST, target())
