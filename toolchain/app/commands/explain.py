"""`sfx explain`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .common import JsonOpt, out, write_json


def explain(
    code: Annotated[str, typer.Argument(help="Error code, such as SFX-E103")],
    json_file: JsonOpt = None,
) -> None:
    """Explain an error code: the messages that carry it, and what to do instead."""
    from ..explain import explain as places_of

    found = places_of(code)
    out.print(found[0].code, markup=False)
    for kind in dict.fromkeys(p.kind for p in found if p.kind):
        out.print(kind, markup=False)
    for place in found:
        out.print(f"\n{place.message or place.about}", markup=False, soft_wrap=True)
        if place.hint:
            out.print(f"  -> {place.hint}", markup=False, soft_wrap=True)
        if place.message and place.about:
            out.print(f"  while: {place.about}", markup=False, soft_wrap=True)
        out.print(f"  {place.place}", markup=False, soft_wrap=True)
    write_json(json_file, {"code": found[0].code, "places": [asdict(p) for p in found]})
