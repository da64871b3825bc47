"""The cost model beside SANA-FE on Loihi 1, where it is installed (extra `sanafe`)."""

from __future__ import annotations

import pytest


def test_sanafe_counts_and_charges_the_same() -> None:
    pytest.importorskip("sanafe")
    from benchmarks.sanafe_witness import compare, network

    rows = {r.name: r for r in compare(network((24, 96, 48), steps=12))}
    for name in ("spikes, the host's included", "synaptic operations", "messages"):
        assert rows[name].ours == rows[name].theirs > 100, name
    assert max(abs(r.error) for r in rows.values()) < 0.05
    assert len(rows) == 8
