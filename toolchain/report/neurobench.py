"""NeuroBench's metrics as lines: label, figure, what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .units import count, share

VERSION = "2.3"


def metric_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """In the order in which they are published."""
    updates = found["membrane_updates"]
    return [
        ("footprint", f"{count(found['footprint_bytes'])} B", f"{count(found['weights'])} weights"),
        ("connection sparsity", share(found["connection_sparsity"], 2), "weights that are 0"),
        ("activation sparsity", share(found["activation_sparsity"], 2), "of the spiking neurons"),
        ("effective ACs", count(found["effective_acs"]), "of spikes"),
        ("effective MACs", count(found["effective_macs"]), "of graded values"),
        ("dense operations", count(found["dense"]), "if nothing were 0"),
        (
            "membrane updates",
            "not recorded" if updates is None else count(updates),
            "the first sample's",
        ),
    ]
