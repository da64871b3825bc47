"""A slice of `trained_states`: one net of every kind, three states each."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch
pytest.importorskip("snntorch")
pytest.importorskip("spikingjelly")

from tests.unit.qat.cells import KINDS  # noqa: E402
from tests.unit.qat.trained_states import Count, check  # noqa: E402


@pytest.mark.parametrize("number", [*range(8, 8 + len(KINDS)), 141])
def test_every_state_is_its_program_and_its_file(number: int, tmp_path: Path) -> None:
    count = Count()
    check(number, count, tmp_path)
    assert count.states == 3
    assert count.compared > 2_000
    assert count.membranes > 500
    assert count.nonzero > 1_000
    assert count.differ == 0
    assert count.faults == []
