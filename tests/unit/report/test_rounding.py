"""The picture and the table of what rounding cost."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sfx.toolchain.ir.record import LayerRecord
from sfx.toolchain.report.compiled import quantization_table
from sfx.toolchain.report.pictures import quantization


def record(name: str, bits: int, **changes: Any) -> dict[str, Any]:
    values = LayerRecord(name, 1e5, bits, False, 3, 0.02, 0.0, 0.0, 0.99, 0.95, 0.1, 0.2, 7, 8192)
    counts = {"spikes": 1000, "missed": 20, "extra": 30, "missed_alone": 4, "extra_alone": 6}
    return values.as_dict() | {"saturations": 0, "wraps": 0} | counts | changes


NO_SPIKES = {"spikes": None, "missed": None, "extra": None, "cumulative": None, "agreement": None}
MUTE = {"spikes": 0, "missed": 0, "extra": 0, "missed_alone": 0, "extra_alone": 0}
ROWS = [
    record("stem", 8),
    record("q", 4, extra=80),
    record("mute", 4, **MUTE),
    record("head", 4, **NO_SPIKES),
]


def test_bars_are_the_wrong_spikes_and_layers_without_data_are_left_out(tmp_path: Path) -> None:
    figure = quantization({"quantization": ROWS}, tmp_path / "q.png")
    left = figure.axes[0]
    assert [t.get_text() for t in left.get_yticklabels()] == ["stem", "q", "mute"]
    widths = [bar.get_width() for bar in left.patches]
    assert widths == pytest.approx([5, 10, 0, 1, 1, 0])
    assert [t.get_text().strip() for t in left.texts] == ["silent"]
    assert (tmp_path / "q.png").stat().st_size > 5000


@pytest.mark.parametrize("mixed", [False, True])
def test_the_table_fits_80_columns_and_tells_bits_apart(mixed: bool) -> None:
    rows = ROWS if mixed else [record("blocks.0.attn.attn_lif", 8, wraps=2)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(quantization_table(rows))
    text = console.export_text()
    assert ("4 to 8-bit" in text) == mixed
    assert ("2 overflow" in text) != mixed
    assert all(len(line) <= 80 for line in text.splitlines())
    assert mixed or "blocks.0.attn.attn_lif" in text
    assert "5.00%" in text
    assert "1.00%" in text


def test_no_wrong_spike_is_rounded_away() -> None:
    """One of 100,000 was shown as 100.00 % that agree."""
    console = Console(width=80, record=True, file=io.StringIO())
    one = record("one", 8, spikes=100_000, missed=1, extra=0, missed_alone=0, extra_alone=0)
    console.print(quantization_table([one]))
    assert console.export_text().split()[-2:] == ["0.00%", "<0.01%"]
