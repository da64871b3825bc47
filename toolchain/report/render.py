"""Renderers of the report's values: terminal, JSON, CSV, one offline page."""

from __future__ import annotations

import csv as csv_module
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from .operations import to_csv, to_latex
from .terminal import summary as _summary

if TYPE_CHECKING:
    from ..ir.placed import PlacedProgram
    from ..targets.target import Target
    from .pictures import Spikes

SCHEMA_VERSION = 1
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a cell for a formula."""


def summary(values: Mapping[str, Any]) -> RenderableType:
    """The report for a terminal."""
    return Group(*_summary(values))


def to_json(values: Mapping[str, Any]) -> str:
    """The values with their `schema_version`."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **values}, indent=1, allow_nan=False)


def csv(values: Mapping[str, Any]) -> str:
    """One row per population; ranges as two columns. Units: joules, events per sample."""
    rows = [_flat(row) for row in values["per_population"]]
    out = io.StringIO()
    writer = csv_module.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def operations(values: Mapping[str, Any], *, latex: bool = False) -> str:
    """The layers' operations at 45 nm, and their sum, as CSV or LaTeX; `values` with energy."""
    return to_latex(values) if latex else to_csv(values, _cell)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "energy_range_j":
            low, high = value or (None, None)
            flat |= {"energy_low_j": low, "energy_high_j": high}
        else:
            flat[name] = _cell(value)
    return flat


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets the apostrophe that forbids it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def html(
    values: Mapping[str, Any],
    placed: PlacedProgram,
    spikes: Spikes | None = None,
    samples: int = 1,
    target: Target | None = None,
    left_out: str = "",
) -> str:
    """One offline page: summary, energy, chip map, tables, and a raster if there are spikes.

    spikes   population -> [H, *shape] by hardware step, of `samples` samples back to back
    target   default: the listed target that `placed` names
    left_out why there is no raster, for the page to say
    Raises InputError (SFX-E401) if that target is not listed.
    """
    from .page import page

    return page(values, placed, spikes, samples, target, left_out)
