"""The `sfx` command: parse, call the api, print.

Exit status: 0 done and equal; 1 unequal or does not fit; 2 bad input or usage; 3 a needed part
is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sfx.toolchain.errors import SfxError

if TYPE_CHECKING:
    from sfx.toolchain.data import Data

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deploy spiking transformers to Loihi 2: compile, run, verify, report.",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ModelArg = Annotated[
    Path, typer.Argument(help="Model: .pt, .safetensors, .nir or .net", metavar="MODEL")
]
BundleArg = Annotated[Path, typer.Argument(help="Compiled model, model.sfx", metavar="BUNDLE")]
TargetOpt = Annotated[str, typer.Option(help="loihi (= loihi2), another listed target, or a .toml")]
CalibrateOpt = Annotated[
    Path | None, typer.Option(metavar="DATA", help="Samples that choose the integer scales (.npz)")
]
FactoryOpt = Annotated[
    str | None, typer.Option("--model", help="pkg.module:factory of your own network")
]
InputOpt = Annotated[Path, typer.Option("--input", metavar="DATA", help="Samples, .npz with x, y")]
LimitOpt = Annotated[int | None, typer.Option(min=1, help="Use the first N samples only")]
StepsOpt = Annotated[
    int | None,
    typer.Option("--timesteps", min=1, help="T of a sample, if a .nir or .net does not say it"),
]
JsonOpt = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON ('-': stdout)"),
]

JSON_SCHEMA = 1
RASTER_SAMPLES = 2
"""Samples whose spikes the report page shows."""


@app.command()
def compile(
    model: ModelArg,
    target: TargetOpt = "loihi",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Bundle to write (default: MODEL.sfx)")
    ] = None,
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Compile MODEL into a bundle: export, lower, quantize, balance delays, map."""
    import time

    from sfx.toolchain import api

    start = time.perf_counter()
    with _stages(f"compiling {model.name} for {target}") as stage:
        bundle = api.compile(
            model,
            target,
            calibrate=_data(calibrate),
            model=factory,
            timesteps=timesteps,
            stage=stage,
        )
        destination = output or model.with_suffix(".sfx")
        api.save(bundle, destination)
    seconds = time.perf_counter() - start
    from sfx.toolchain.report.compiled import compile_summary

    out.print(compile_summary(bundle.manifest, seconds, str(destination)))
    statistics = bundle.manifest["statistics"]
    _write_json(
        json_file,
        {**statistics, "quantization": bundle.manifest["quantization"], "seconds": seconds},
    )


@app.command()
def check(
    model: ModelArg,
    target: TargetOpt = "loihi",
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Say whether MODEL compiles and fits, with every problem at once; nothing is written."""
    from sfx.toolchain import api

    with _stages(f"checking {model.name} for {target}") as stage:
        bundle = api.compile(
            model,
            target,
            calibrate=_data(calibrate),
            model=factory,
            timesteps=timesteps,
            stage=stage,
        )
    s = bundle.manifest["statistics"]
    out.print(f"{model.name} compiles and fits {bundle.manifest['target']}: {s['cores']} cores")
    _write_json(json_file, {"fits": True, **s})


@app.command()
def run(
    bundle: BundleArg,
    data: InputOpt,
    backend: Annotated[str, typer.Option(help="reference, fast, lava or onnx")] = "reference",
    limit: LimitOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Run samples through the compiled model in simulated hardware; print the accuracy."""
    import numpy as np

    from sfx.toolchain import api
    from sfx.toolchain.cost.synops import synops

    loaded, samples = api.load(bundle), _required(data, limit)
    with _progress(f"{backend}: {samples.samples} samples") as progress:
        result = api.run(loaded, samples, backend_name=backend, progress=progress)
    accuracy = None if samples.y is None else float(np.mean(result.predictions == samples.y))
    spikes = int(sum(int(e.sum()) for e in result.counts.events.values()))
    ops = synops(loaded.program, result.counts)
    values = {
        "backend": result.backend,
        "samples": samples.samples,
        "predictions": result.predictions.tolist(),
        "accuracy": accuracy,
        "seconds": result.seconds,
        "spikes": spikes,
        "synops": ops,
    }
    if accuracy is not None:
        right = int(np.sum(result.predictions == samples.y))
        out.print(f"accuracy  {accuracy:.2%}  ({right} of {samples.samples} samples)")
    else:
        out.print(f"predictions  {' '.join(map(str, result.predictions[:40].tolist()))}")
    out.print(
        f"backend   {result.backend}, {result.seconds:.1f} s\n"
        f"spikes    {spikes / samples.samples:,.0f} per sample\n"
        f"synops    {ops / samples.samples:,.0f} per sample"
    )
    _write_json(json_file, values)


@app.command()
def verify(
    bundle: BundleArg,
    data: InputOpt,
    against: Annotated[str, typer.Option(help="The witness: lava or onnx")] = "lava",
    mode: Annotated[
        str, typer.Option(help="full: the net in one run; layerwise: each population alone")
    ] = "full",
    states: Annotated[bool, typer.Option("--states", help="Compare u and v as well")] = False,
    limit: LimitOpt = None,
    witness: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Hand the witness this bundle instead: shows that the comparison can fail",
        ),
    ] = None,
    sample_fraction: Annotated[
        float, typer.Option(metavar="F", help="Layerwise: replay this share of every population")
    ] = 1.0,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Layerwise: keep what is compared, go on from there"),
    ] = None,
    json_file: JsonOpt = None,
) -> None:
    """Prove that a witness computes what the reference does: every spike, u and v at every step."""
    from sfx.toolchain import api
    from sfx.toolchain.report.verified import verify_summary

    loaded, samples = api.load(bundle), _required(data, limit)
    other = None if witness is None else api.load(witness, balanced=False).program
    unit = ", population by population" if mode == "layerwise" else ""
    with _progress(f"{against}: {samples.samples} samples back to back{unit}") as progress:
        verdict = api.verify(
            loaded,
            samples.x,
            against=against,
            mode=mode,
            states=states,
            witness=other,
            sample_fraction=sample_fraction,
            resume=resume,
            progress=progress,
        )
    out.print(verify_summary(verdict))
    _write_json(json_file, verdict.as_dict())
    if not verdict.equal:
        raise typer.Exit(1)


@app.command()
def report(
    bundle: BundleArg,
    data: Annotated[
        Path | None, typer.Option("--input", metavar="DATA", help="Real inputs to count events on")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="One offline page")] = None,
    csv: Annotated[Path | None, typer.Option(help="Table per population")] = None,
    limit: LimitOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Mapping, energy and latency, each with its uncertainty and source."""
    from sfx.toolchain import api
    from sfx.toolchain.bundle import atomic_write
    from sfx.toolchain.report import render

    loaded = api.load(bundle)
    samples = None if data is None else _required(data, limit)
    with _progress("counting events") as progress:
        values = api.report(loaded, samples, progress=progress)
    out.print(render.summary(values))
    if html is not None:
        shown = None if samples is None else samples.x[:RASTER_SAMPLES]
        record = None if shown is None else api.stream(loaded.program, shown, "reference")
        page = render.html(
            values,
            loaded.placed,
            None if record is None else record.spikes,
            0 if shown is None else len(shown),
            target=api.target_of(loaded),
        )
        atomic_write(html, page.encode())
        out.print(f"page      {html}")
    if csv is not None:
        atomic_write(csv, render.csv(values).encode())
        out.print(f"table     {csv}")
    _write_json(json_file, values)


@app.command()
def export(
    bundle: BundleArg,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write")],
    to: Annotated[
        str, typer.Option(help="onnx: integer operators, for ONNX Runtime; nir: the source graph")
    ] = "onnx",
) -> None:
    """Write the compiled model in another format."""
    from sfx.toolchain import api
    from sfx.toolchain.bundle import atomic_write
    from sfx.toolchain.errors import InputError

    if to not in ("onnx", "nir"):
        raise InputError("SFX-E640", f"no format '{to}'", hint="use --to onnx or --to nir")
    with _stages(f"exporting {bundle.name}") as stage:
        stage(to)
        loaded = api.load(bundle)
        if to == "onnx":
            api.export_onnx(loaded, output)
        elif loaded.nir:
            atomic_write(output, loaded.nir)
        else:
            raise InputError("SFX-E641", "the bundle has no NIR source", where=str(bundle))
    out.print(f"wrote {output}", markup=False, soft_wrap=True)


@app.command()
def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .sfx, .nir, .net, .pt or .safetensors")
    ],
) -> None:
    """Show what a file holds: populations and projections, NIR nodes, or tensors."""
    from sfx.toolchain import api

    out.print(api.inspect(file), markup=False, soft_wrap=True, end="")


@app.command()
def targets(
    name: Annotated[str | None, typer.Argument(help="One target in detail")] = None,
) -> None:
    """List the targets, or show one with its limits and the source of each."""
    from sfx.toolchain.report.targets import target_details, target_list

    out.print(target_list() if name is None else target_details(name))


@app.command()
def doctor() -> None:
    """Say which parts are installed here and what each is needed for."""
    from sfx.toolchain.doctor import findings

    missing = False
    for part in findings():
        missing |= part.needed and not part.found
        out.print(f"{'ok     ' if part.found else 'missing'}  {part.name:<12} {part.detail}")
    raise typer.Exit(3 if missing else 0)


# --- helpers ---------------------------------------------------------------------------------


def _data(path: Path | None) -> Data | None:
    return None if path is None else _required(path, None)


def _required(path: Path, limit: int | None) -> Data:
    from sfx.toolchain.data import read

    return read(path, limit)


def _write_json(path: Path | None, values: dict[str, Any]) -> None:
    if path is None:
        return
    from sfx.toolchain.bundle import atomic_write

    text = json.dumps({"schema_version": JSON_SCHEMA, **values}, indent=1, allow_nan=False)
    if str(path) == "-":
        sys.stdout.write(text + "\n")
    else:
        atomic_write(path, (text + "\n").encode())


@contextmanager
def _stages(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner that names the current stage; plain lines where there is no terminal."""
    if err.is_terminal:
        with err.status(title) as status:
            yield lambda name: status.update(f"{title}: {name}")
    else:
        err.print(title)
        yield lambda name: None


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; plain lines at every tenth elsewhere."""
    if err.is_terminal:
        from rich.progress import Progress

        with Progress(console=err, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    err.print(title)
    last = -1

    def line(done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth > last:
            last = tenth
            err.print(f"  {done}/{total}")

    yield line


def main() -> None:
    """Entry point: errors of ours print without a traceback and set the exit status."""
    try:
        app()
    except SfxError as error:
        err.print(
            f"[bold red]error[/]: {len(error.problems)} problem(s)"
            if len(error.problems) > 1
            else "[bold red]error[/]"
        )
        for problem in error.problems:
            err.print(str(problem), markup=False, soft_wrap=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
