"""`sfx replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOpt, out, write_json


def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Replay file that 'sfx verify' wrote")
    ],
    against: Annotated[str | None, typer.Option(help="Witness (default: that of the file)")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE", help="Refuse the file unless it belongs to this compiled model"
        ),
    ] = None,
    json_file: JsonOpt = None,
) -> None:
    """Run the neuron of a replay file again, on the reference and on the witness."""
    from ...report.verified import replay_summary
    from .. import api

    loaded = None if bundle is None else api.load(bundle, balanced=False)
    found, rows = api.replay(file, against=against, bundle=loaded)
    witness = against or found.against
    out.print(replay_summary(found, rows, witness))
    wrong = [r for r in rows if not r.equal]
    values = {
        "against": witness,
        "program": found.program,
        "population": found.mismatch.population,
        "neuron": found.mismatch.neuron,
        "steps": len(rows),
        "mismatches": len(wrong),
        "rows": [{"step": r.step, "spikes": r.spikes, "u": r.u, "v": r.v} for r in rows],
    }
    write_json(json_file, values)
    if wrong:
        raise typer.Exit(1)
