"""`sfx diff`."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table

from .common import BundleArg, JsonOpt, out, write_json

SHOWN = 60
"""Differences that are printed; the JSON has all."""


def diff(a: BundleArg, b: BundleArg, json_file: JsonOpt = None) -> None:
    """Show where two compiled models differ: constants, weights, delays, target, versions."""
    from .. import api

    changes = api.diff(api.load(a, balanced=False), api.load(b, balanced=False))
    write_json(json_file, {"equal": not changes, "changes": [asdict(c) for c in changes]})
    if not changes:
        out.print("no difference: the same Program, target and sources")
        return
    table = Table("where", "what", a.name, b.name, box=None, pad_edge=False)
    for c in changes[:SHOWN]:
        table.add_row(c.where, c.field, c.a, c.b)
    out.print(table)
    if len(changes) > SHOWN:
        out.print(f"and {len(changes) - SHOWN} more (--json has all)")
    raise typer.Exit(1)
