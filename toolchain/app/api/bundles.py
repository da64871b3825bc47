"""What is done with a bundle: read, write, map again, compare, report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....backends.base import Progress
from ...data import Samples, samples_of
from ...formats import table
from ...formats.bundle import bundle as bundles
from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError
from ...ground.memory import require
from ...ir.memory_use import of_costs
from ...ir.program import Program
from .compiling import Stage
from .files import beside_content
from .metrics import metrics
from .running import program_of, run

if TYPE_CHECKING:
    from ....backends.lava.build import LavaNetwork
    from ...targets.target import Target
    from ...verify.diff import Change

SOURCES = ("versions", "model", "target", "calibration", "trusted_pickle", "net_input")
"""What a manifest says of a bundle's origin; its statistics and records follow from the Program."""


def save(bundle: Bundle, path: str | Path) -> None:
    """Write `model.sfx` atomically."""
    bundles.write(bundle, path)


def load(path: str | Path, *, balanced: bool = True) -> Bundle:
    """Read `model.sfx`. Raises InputError (SFX-E60x), FitError if its mapping is not legal.

    Its counts, and the space of every block on its core, are computed from the Program again.
    balanced=False accepts a Program whose delays were changed on purpose (see `verify`).
    A bundle of an older schema is mapped again, onto its target as it is listed now.
    """
    from ...compiler.compile import statistics
    from ...compiler.mapping.check import check_placed

    try:
        bundle = bundles.read(path, balanced=balanced)
    except InputError as error:
        raise beside_content(error, Path(path), table.named("bundle")) from error
    placed = bundle.placed
    counted = statistics(bundle.program) | {"cores": placed.cores, "chips": placed.chips}
    bundle = replace(bundle, manifest=bundle.manifest | {"statistics": counted})
    if bundle.manifest["schema_version"] != bundles.UNPLACED:
        if placed.blocks and "target_table" in bundle.manifest:
            check_placed(placed, target_of(bundle))
        return bundle
    from ...targets import names

    target = bundle.placed.target
    return remap(bundle, target=target if target in names() else None)


def remap(
    bundle: Bundle,
    data: Samples | None = None,
    *,
    target: str | None = None,
    objective: str = "latency",
    seed: int = 0,
    stage: Stage = lambda name: None,
) -> Bundle:
    """The same Program placed again: for another objective or target, or by measured spike rates.

    data: samples whose events weigh the traffic; without them rates come from the calibration.
    Raises FitError if it does not fit (SFX-E406: its integers are for other widths); no integer of
    the Program changes.
    """
    from ...compiler.mapping.place import MappingOptions, place
    from ...ir.check_program import check_program
    from ...targets import load as load_target
    from ...targets.table import to_table
    from ...targets.widths import for_target

    chosen = target_of(bundle) if target is None else load_target(target)
    records = bundle.manifest.get("quantization", ())
    known = {r["population"]: r["rate"] for r in records if r.get("rate") is not None}
    if data is not None:
        stage("count events")
        counts = run(bundle, data, backend_name="fast").counts
        known |= {name: float(e.mean()) / counts.samples for name, e in counts.events.items()}
    stage("place")
    program = for_target(bundle.program, chosen)
    check_program(program, balanced=False)
    placed = place(program, chosen, MappingOptions(objective, seed, known))
    statistics = bundle.manifest["statistics"] | {"cores": placed.cores, "chips": placed.chips}
    manifest = bundle.manifest | {
        "target": chosen.name,
        "target_table": to_table(chosen),
        "statistics": statistics,
    }
    return Bundle(placed, bundle.nir, manifest)


def diff(a: Bundle, b: Bundle) -> list[Change]:
    """Every difference of two compiled models: of their Programs, and of what they came from."""
    from ...verify.diff import Change
    from ...verify.diff import diff as differences

    found = differences(a.program, b.program)
    for key in sorted({*a.manifest, *b.manifest} & set(SOURCES)):
        mine, theirs = (json.dumps(m.get(key), sort_keys=True) for m in (a.manifest, b.manifest))
        if mine != theirs:
            found.append(Change("manifest", key, mine, theirs))
    if a.placed.blocks != b.placed.blocks:
        counts = (f"{len(m.placed.blocks)} blocks on {m.placed.cores} cores" for m in (a, b))
        found.append(Change("placement", "blocks", *counts))
    return found


def report(
    bundle: Bundle,
    data: Samples | None = None,
    *,
    verified: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Mapping, energy and latency as plain values (the keys of `sfx report --json`).

    data: real inputs whose events are counted on the reference backend. Without them only the
    mapping is reported, because energy without events would be a guess.
    verified: the JSON of `sfx verify` on this model. Raises InputError (SFX-E218) if it is not,
    and SFX-E605 if the events of a sample take more memory than is free.
    """
    from ...report.collect import collect
    from ...report.verdict import read_verdict

    if not bundle.placed.blocks:
        raise InputError(
            "SFX-E670",
            "the bundle contains no mapping, so there are no cores to report on",
            where=bundle.program.name,
            hint="place it first: sfx map BUNDLE -o OUT",
        )
    given = None if data is None else samples_of(data)
    verdict = None if verified is None else read_verdict(Path(verified), bundle.program)
    if given is not None:
        require(of_costs(bundle.program), "the events of a sample", where=bundle.program.name)
    result = None if given is None else run(bundle, given, progress=progress)
    counts = None if result is None else result.counts
    accuracy = None
    if result is not None and given is not None and given.y is not None:
        accuracy = float(np.mean(result.predictions == given.y))
    target = target_of(bundle)
    values = collect(bundle.placed, counts, accuracy, bundle.manifest, target, verdict)
    if counts is not None and given is not None:
        values["neurobench"] = metrics(bundle, counts, given.x)
    return values | {"left_range": None if result is None else dict(result.left)}


def target_of(bundle: Bundle) -> Target:
    """The target a bundle was built for, as it was then. Raises InputError (SFX-E402, SFX-E601)."""
    from ...targets.parse import parse

    table = bundle.manifest.get("target_table")
    if not isinstance(table, dict):
        raise InputError("SFX-E601", "the bundle does not contain its target")
    return parse(dict(table), f"{bundle.manifest.get('target')} in the bundle")


def to_lava(bundle: Bundle | Program) -> LavaNetwork:
    """The connected Lava processes of a compiled model, with named in and out ports.

    Attach your own sources and sinks and choose the run configuration (Loihi2SimCfg here,
    Loihi2HwCfg where you have it). Raises MissingPartError (SFX-E501) without Lava.
    """
    from ....backends.lava.build import to_lava as build

    return build(program_of(bundle))
