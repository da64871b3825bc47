"""The picture and the table of what rounding cost."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sfx.toolchain.quantize.record import LayerRecord
from sfx.toolchain.report.compiled import quantization_table
from sfx.toolchain.report.pictures import quantization


def record(name: str, bits: int, **changes: Any) -> dict[str, Any]:
    values = LayerRecord(name, 1e5, bits, False, 3, 0.02, 0.0, 0.0, 0.99, 0.95, 0.1, 0.2, 7, 8192)
    return values.as_dict() | {"saturations": 0, "wraps": 0} | changes


ROWS = [record("stem", 8), record("q", 4, cumulative=0.9), record("head", 4, cumulative=None)]


def test_bars_are_the_unequal_spikes_and_layers_without_data_are_left_out(tmp_path: Path) -> None:
    figure = quantization({"quantization": ROWS}, tmp_path / "q.png")
    left = figure.axes[0]
    assert [t.get_text() for t in left.get_yticklabels()] == ["stem", "q"]
    widths = [bar.get_width() for bar in left.patches]
    assert widths == pytest.approx([5, 10, 1, 1])
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
