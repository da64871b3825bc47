"""What a bundle records about itself: its source, how that was read, and its target."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import sfx

from ...ir.digest import digest

if TYPE_CHECKING:
    import nir

    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions
    from ...ir.placed import PlacedProgram
    from ...ir.program import Program
    from ...targets.target import Target


def manifest_of(name: str, sha256: str, target: Target, placed: PlacedProgram) -> dict[str, Any]:
    """What every bundle records about itself; calibration and quantization are the caller's."""
    from ...compiler.compile import statistics
    from ...targets.table import to_table

    measured = range_facts(placed.program)
    return {
        "versions": {"sfx": sfx.__version__, "numpy": np.__version__},
        "model": {"name": name, "sha256": sha256},
        "program": digest(placed.program),
        "target": target.name,
        "target_table": to_table(target),
        "statistics": statistics(placed.program) | {"cores": placed.cores, "chips": placed.chips},
    } | ({"ranges": measured} if measured else {})


def range_facts(program: Program) -> list[dict[str, Any]]:
    """Of every measured range: what it is, what was seen, the worst case, and the margin in %."""
    return [
        {
            "population": p.name,
            "range": [p.low, p.high],
            "seen": [p.measured.seen_low, p.measured.seen_high],
            "proven": [p.measured.proven_low, p.measured.proven_high],
            "margin": p.measured.margin,
        }
        for p in program
        if p.measured is not None
    ]


def quantize_facts(options: Options | None) -> dict[str, Any]:
    """The options that the integers were chosen by."""
    from ...compiler.quantize.options import Options

    chosen = options or Options()
    asked = {} if chosen.integer_spikes == "auto" else {"integer_spikes": chosen.integer_spikes}
    usual = Options()
    ranges: dict[str, Any] = {}
    if chosen.proved or chosen.range_margin != usual.range_margin:
        ranges = {"proved": chosen.proved, "range_margin": chosen.range_margin}
    return (
        asked
        | ranges
        | {
            "method": chosen.method,
            "bits": chosen.bits,
            "layers": dict(sorted(chosen.layers.items())),
            "effort": chosen.effort,
            "counts": chosen.counts,
        }
    )


def nir_facts(graph: nir.NIRGraph, options: NirOptions | None) -> dict[str, Any]:
    """How the NIR graph was read: what the options said, and every fact with its origin."""
    from ...formats.nir.reading import reading

    given = (None, None) if options is None else (options.convention, options.reset)
    read = reading(graph, options)
    return {
        "dt": read.dt,
        "convention": given[0] or "nir",
        "reset": given[1],
        "read": [{"what": f.what, "value": f.value, "origin": f.origin} for f in read.facts],
        "notes": list(read.notes),
        "warnings": list(read.warnings),
        "lines": read.lines(),
    }


def calibration_facts(samples: NDArray[Any] | None, origin: str) -> dict[str, Any] | None:
    """The samples that chose the scales, by their hash; None if there were none."""
    if samples is None:
        return None
    sha256 = hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()
    return {"source": origin, "samples": len(samples), "sha256": sha256}
