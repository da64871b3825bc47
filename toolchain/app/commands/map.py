"""`sfx map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import (
    BundleArg,
    JsonOpt,
    LimitOpt,
    ObjectiveOpt,
    SeedOpt,
    out,
    read_data,
    stages,
    to_write,
    write_json,
)


def map(
    bundle: BundleArg,
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=to_write, help="Bundle to write")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="DATA", help="Samples whose spikes measure the traffic (.npz)"
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Target (default: that of the bundle)")] = None,
    objective: ObjectiveOpt = "latency",
    seed: SeedOpt = 0,
    limit: LimitOpt = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table", help="Print what each layer and core takes, as Intel's compiler does"
        ),
    ] = False,
    json_file: JsonOpt = None,
) -> None:
    """Map a compiled model again: another target, another objective or measured traffic."""
    from dataclasses import asdict

    from ...compiler.mapping.utilization import layers
    from ...report.mapped import layer_table, mapped_lines
    from .. import api

    loaded = api.load(bundle)
    samples = None if data is None else read_data(data, limit)
    with stages(f"mapping {bundle.name} for {objective}") as stage:
        placed = api.remap(
            loaded, samples, target=target, objective=objective, seed=seed, stage=stage
        )
        api.save(placed, output)
    chosen = api.target_of(placed)
    before, after = loaded.manifest["statistics"], placed.manifest["statistics"]
    lines, rows = mapped_lines(placed.placed, chosen), layers(placed.placed, chosen)
    if table:
        out.print(layer_table(placed.placed, chosen))
    out.print(
        f"{placed.manifest['target']}: {after['cores']} cores on {after['chips']} chip(s), "
        f"before {before['cores']} on {before['chips']}\n"
        + "".join(f"  {head:<10}  {line}\n" for head, line in lines)
        + f"wrote {output}",
        markup=False,
        soft_wrap=True,
    )
    found = {"objective": objective, "seed": seed, **after}
    write_json(json_file, found | {"layers": [asdict(row) for row in rows]})
