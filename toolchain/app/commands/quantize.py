"""`sfx quantize`: what rounding costs, layer by layer, and how few bits are enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...ground.files import writable
from .bits import (
    MARGIN,
    BitsOpt,
    CountsOpt,
    EffortOpt,
    IntegerOpt,
    LayerBitsOpt,
    MarginOpt,
    MethodOpt,
    ProvedOpt,
    quantize_options,
)
from .common import (
    CalibrateOpt,
    CheckOpt,
    CheckSamplesOpt,
    ConventionOpt,
    DtOpt,
    FactoryOpt,
    FloatModelArg,
    InputLayoutOpt,
    InputOpt,
    JsonOpt,
    LimitOpt,
    MemoryOpt,
    OldLayoutOpt,
    ResetOpt,
    StepsOpt,
    TargetOpt,
    TrustOpt,
    WeightsOpt,
    nir_options,
    optional_data,
    out,
    progress_bar,
    read_data,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from ...compiler.precision.judge import Judge, Score
    from ...compiler.precision.search import Found
    from ...compiler.precision.sensitivity import Sensitivity


def to_choose(path: Path | None) -> Path | None:
    """As `to_write`, of what --bits-per-layer reads."""
    if path is not None:
        writable(path, (".toml",))
    return path


def quantize(
    model: FloatModelArg,
    data: InputOpt,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity", help="Rank layers by the accuracy that quantizing them costs"
        ),
    ] = False,
    probe: Annotated[
        int,
        typer.Option(min=2, max=8, help="Bits to which --sensitivity reduces one layer at a time"),
    ] = 3,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="POINTS",
            help="Find the least synaptic memory that loses at most this many % against float",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of bit assignments that --budget tries")
    ] = 40,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="TOML",
            callback=to_choose,
            help="Write the bits that were found, for compile --bits-per-layer",
        ),
    ] = None,
    bits: BitsOpt = 8,
    layer_bits: LayerBitsOpt = None,
    method: MethodOpt = "calibrated",
    effort: EffortOpt = 1.0,
    counts: CountsOpt = None,
    integer_spikes: IntegerOpt = "auto",
    proved: ProvedOpt = False,
    range_margin: MarginOpt = MARGIN,
    target: TargetOpt = "loihi",
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    input_layout: InputLayoutOpt = "TB",
    takes: OldLayoutOpt = None,
    trust_pickle: TrustOpt = False,
    weights: WeightsOpt = None,
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
    limit: LimitOpt = None,
    beside: CheckOpt = True,
    check_samples: CheckSamplesOpt = 1,
    memory: MemoryOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Measure what quantization costs on labelled samples: overall, by layer or within a budget.

    Use training or hold-out samples as DATA; what is chosen on test samples fits only those.
    """
    from .. import api

    samples = read_data(data, limit)
    with progress_bar(f"quantizing {model.name} for {target}") as progress:
        judge = api.judge(
            model,
            samples,
            target,
            calibrate=optional_data(calibrate),
            model=factory,
            options=quantize_options(
                bits, layer_bits, method, effort, counts, integer_spikes, (proved, range_margin)
            ),
            nir_options=nir_options(convention, dt, reset),
            timesteps=timesteps,
            input_layout=takes or input_layout,
            trust_pickle=trust_pickle,
            weights=weights,
            check=beside,
            check_samples=check_samples,
            memory=memory,
        )
        full = judge.score({}, effort=effort)
        progress(1, 1)
    _print_score(judge, full)
    values = _values(judge, full) | {"samples": samples.samples}
    if sensitivity or budget is not None:
        ranked = _ranked(judge, probe, bits)
        values["sensitivity"] = [s.as_dict() for s in ranked]
        if budget is not None:
            allowed = int(budget / 100 * samples.samples)
            found = _within(judge, ranked, allowed, trials, full)
            values |= _found(found)
            if output is not None:
                _write(output, {**judge.options.layers, **found.layers})
    write_json(json_file, values)


def _print_score(judge: Judge, full: Score) -> None:
    """What rounding costs in all, and what was noticed on the way."""
    from ...report.graded import graded_lines
    from ...report.precision import score_line
    from ...report.silent import silence_lines
    from ...report.witness import witness_lines

    out.print(score_line(judge, full))
    lines = (
        *witness_lines(judge.witness),
        *silence_lines(s.as_dict() for s in judge.silent),
        *graded_lines(judge.graded),
    )
    for line in lines:
        out.print(line, markup=False)


def _values(judge: Judge, full: Score) -> dict[str, Any]:
    """What `--json` says of all layers at the same bits."""
    return {
        "float_right": judge.float_right,
        "right": full.right,
        "memory_bits": full.memory,
        "silent": [s.as_dict() for s in judge.silent],
        "graded": list(judge.graded),
        "witness": judge.witness,
    }


def _ranked(judge: Judge, probe: int, bits: int) -> list[Sensitivity]:
    """The layers by what they lose at `probe` bits, in a table."""
    from ...compiler.precision.sensitivity import sensitivity
    from ...report.precision import sensitivity_table

    with progress_bar(f"one layer at {probe} bits, the others at {bits}") as progress:
        ranked = sensitivity(judge, probe, progress)
    out.print(sensitivity_table(ranked))
    return ranked


def _within(
    judge: Judge, ranked: list[Sensitivity], allowed: int, trials: int, full: Score
) -> Found:
    """The choice of least memory that gets at most `allowed` samples more wrong, in a table."""
    from ...compiler.precision.search import search
    from ...report.precision import found_table

    with progress_bar(f"{trials} choices of bits") as progress:
        found = search(judge, ranked, allowed, trials, progress)
    out.print(found_table(judge, found, full))
    return found


def _found(found: Found) -> dict[str, Any]:
    return {
        "layers": dict(found.layers),
        "mixed_right": found.score.right,
        "mixed_memory_bits": found.score.memory,
        "tried": found.tried,
    }


def _write(path: Path, layers: Any) -> None:
    rows = [f'"{name}" = {bits}\n' for name, bits in layers.items()]
    write_text(path, "[bits]\n" + "".join(rows))
    out.print(f"wrote {path}: sfx compile --bits-per-layer {path}", soft_wrap=True)
