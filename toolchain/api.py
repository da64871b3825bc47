"""What the command line and notebooks call: `sfx.export`, `compile`, `run`, `verify`, `report`.

Heavy parts (torch, Lava, the zoo) are imported by the function that needs them.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import sfx
from sfx.backends.base import Backend, Progress, Result, Stream
from sfx.toolchain import bundle as bundles
from sfx.toolchain.bundle import Bundle
from sfx.toolchain.data import Data, at_every_step, check_input
from sfx.toolchain.errors import InputError, SfxError
from sfx.toolchain.files import atomic_write
from sfx.toolchain.ir.program import Program
from sfx.toolchain.memory import of_record, of_run, require

if TYPE_CHECKING:
    import nir
    import torch

    from sfx.backends.lava.build import LavaNetwork
    from sfx.toolchain.ir.conventions import NirOptions
    from sfx.toolchain.ir.placed import PlacedProgram
    from sfx.toolchain.mapping.place import MappingOptions
    from sfx.toolchain.precision.judge import Judge
    from sfx.toolchain.qat.model import QatModel
    from sfx.toolchain.quantize.options import Options
    from sfx.toolchain.replay import Replay, Row
    from sfx.toolchain.targets.target import Target
    from sfx.toolchain.verify.compare import Verdict
    from sfx.toolchain.verify.diff import Change

Stage = Callable[[str], None]
SOURCES = ("versions", "model", "target", "calibration", "trusted_pickle")
"""What a manifest says of a bundle's origin; its statistics and records follow from the Program."""
BACKENDS = ("reference", "fast", "lava", "onnx")


@dataclass(frozen=True, eq=False)
class Source:
    """A model as the compiler takes it: its NIR graph, where it came from, its own samples."""

    graph: nir.NIRGraph
    name: str
    sha256: str
    calibration: NDArray[Any] | None
    trusted: bool = False
    """Read by Python's unpickler, because the user said so."""


def export(
    model: torch.nn.Module,
    example: torch.Tensor,
    *,
    name: str = "model",
    takes: str = "TB",
    output: int = 0,
    dt: float = 1e-3,
    onnx: str | Path | None = None,
) -> nir.NIRGraph:
    """Trace `model` on `example` [T, 1, *input shape] and return its NIR graph.

    The model may use Norse's, SpikingJelly's, snnTorch's or our own neurons; it is left as it was.

    takes   what forward() takes: "TB" [T, B, ...], "BT" [B, T, ...], "B" one image that forward()
            shows for its own number of steps, "step" one step (the caller loops)
    output  which of the returned tensors is deployed
    dt      seconds of one model step
    onnx    write the graph as an ONNX model as well: standard operators over [T, *shape], neurons
            in the domain ai.sfx, their equations in the file; `sfx compile` reads it
    Raises UnsupportedError (SFX-E1xx) listing every operation that cannot be mapped.
    """
    from sfx.frontends.torch_export import export as torch_export

    graph = torch_export(model, example, name=name, takes=takes, output=output, dt=dt)
    if onnx is not None:
        _write_onnx_model(graph, Path(onnx))
    return graph


def _write_onnx_model(graph: nir.NIRGraph, path: Path) -> None:
    from sfx.backends.onnx import parts

    parts.require("onnx")
    from sfx.frontends.onnx_file.write import to_onnx
    from sfx.toolchain.ir.nir_bridge import to_graph

    model = to_onnx(to_graph(graph))
    atomic_write(path, model.SerializeToString(deterministic=True))


def load_model(
    path: str | Path,
    *,
    model: str | None = None,
    example_shape: tuple[int, ...] | None = None,
    takes: str = "TB",
    timesteps: int | None = None,
    trust_pickle: bool = False,
) -> Source:
    """Read a model file: `.pt`, `.safetensors` (our checkpoint format), `.nir` or `.onnx`.

    model          `pkg.module:factory` for a bare state_dict of a user's own network
    example_shape  (T, *input shape) to trace that network with
    takes          what that network's forward() takes, see `export`
    timesteps      T, for an `.onnx` file that does not say it
    trust_pickle   let a `.pt` run whatever code it holds: whole networks, old files. Only for
                   files that you trust; the bundle records it
    Raises InputError or UnsupportedError.
    """
    from sfx.toolchain.qat.store import is_qat

    path = Path(path)
    digest = _sha256(path)
    if trust_pickle and path.suffix not in (".pt", ".pth"):
        from sfx.frontends import trusted_pickle

        trusted_pickle.load(path)  # which says why not
    if is_qat(path):
        raise InputError(
            "SFX-E364",
            "holds a fine-tuned model, whose integers are fixed",
            where=str(path),
            hint="compile it with `sfx compile`, train it on with sfx.qat.load",
        )
    if path.suffix == ".nir":
        from sfx.frontends.nir_file import read_model

        return Source(read_model(path), path.stem, digest, None)
    if path.suffix == ".onnx":
        return Source(_read_onnx(path, timesteps), path.stem, digest, None)
    if path.suffix not in (".pt", ".pth", ".safetensors"):
        raise InputError(
            "SFX-E620",
            f"unknown kind of model file '{path.suffix}'",
            where=str(path),
            hint="sfx reads .pt and .safetensors checkpoints, .nir, .onnx and lava-dl .net files",
        )
    from sfx.frontends.load import load_torch

    net, example, calibration = load_torch(
        path, model=model, example_shape=example_shape, trust_pickle=trust_pickle
    )
    own = model is not None or not hasattr(net, "example_input")
    graph = export(net, example, name=path.stem, takes=takes if own else "TB")
    return Source(graph, path.stem, digest, calibration, trust_pickle)


def compile(
    source: Source | nir.NIRGraph | QatModel | str | Path,
    target: str = "loihi",
    *,
    calibrate: Data | None = None,
    model: str | None = None,
    timesteps: int | None = None,
    takes: str = "TB",
    nir_options: NirOptions | None = None,
    objective: str = "latency",
    seed: int = 0,
    stage: Stage = lambda name: None,
    options: Options | None = None,
    trust_pickle: bool = False,
    memory: int | None = None,
) -> Bundle:
    """Compile a model for `target` ('loihi' is loihi2; or a TOML file).

    source: a model file, a loaded one, a NIR graph (of `export`), or what `sfx.qat.prepare` made
    (or `sfx.qat.save` wrote), whose integers stay as they were trained.
    calibrate: samples that choose the scales; default: the samples in the checkpoint, if any.
    timesteps: T of a sample, for a NIR file that does not say it (default: that of `calibrate`),
    or instead of what a lava-dl `.net` file says. A `.net` holds integers: nothing is quantized.
    options: method, bits and effort of the quantization (`sfx.toolchain.quantize.options`).
    model, takes: a network of one's own for a bare state_dict, see `load_model`.
    trust_pickle: let a `.pt` run whatever code it holds, see `load_model`; in the manifest.
    memory: bytes it may take; refused before it starts (SFX-E605) if that cannot be enough.
    nir_options: dt and conventions of the framework that wrote a NIR file.
    objective: what the mapping is good at: cores (fewest), latency (busiest core idlest) or energy.
    seed: of the placement.
    Raises SfxError: InputError, UnsupportedError, or FitError if it does not fit the target.
    """
    from sfx.toolchain.compiler import compile_graph
    from sfx.toolchain.ir import graph as g
    from sfx.toolchain.ir.nir_bridge import to_graph, write
    from sfx.toolchain.mapping.place import MappingOptions
    from sfx.toolchain.qat.store import is_qat
    from sfx.toolchain.qat.store import read as read_qat
    from sfx.toolchain.targets import load as load_target

    start = time.perf_counter()
    chosen = load_target(target)
    mapping = MappingOptions(objective, seed)
    if hasattr(source, "infer_types"):  # a nir.NIRGraph, without importing nir for it
        source = _of_graph(source)
    if not isinstance(source, Source | str | Path):
        _nothing_to_quantize(calibrate, "the fine-tuned model")
        return _compile_trained(source.program(), source.template.bits, "", chosen, stage, mapping)
    if not isinstance(source, Source) and not trust_pickle and Path(source).suffix == ".net":
        return _compile_netx(Path(source), chosen, calibrate, timesteps, stage, mapping)
    if not isinstance(source, Source) and not trust_pickle and is_qat(source):
        _nothing_to_quantize(calibrate, str(source))
        stored = read_qat(source)
        digest = _sha256(Path(source))
        return _compile_trained(stored.program, stored.bits, digest, chosen, stage, mapping)
    if not isinstance(source, Source):
        stage("export")
        shape = None if calibrate is None else tuple(calibrate.x.shape[1:])
        steps = timesteps if shape is None or timesteps is not None else shape[0]
        load = functools.partial(
            load_model,
            source,
            model=model,
            takes=takes,
            timesteps=steps,
            trust_pickle=trust_pickle,
        )
        source = load(example_shape=shape) if takes != "B" else _load_for_images(load, shape)
    stage("import NIR")
    # A NIR file need not say T; the samples do. A traced network has T baked in.
    steps = timesteps
    if steps is None and calibrate is not None and "timesteps" not in source.graph.metadata:
        steps = int(calibrate.x.shape[1])
    graph = to_graph(source.graph, timesteps=steps, options=nir_options)
    samples, origin = source.calibration, "checkpoint"
    if calibrate is not None:
        samples, origin = calibrate.x, "--calibrate"
    if samples is not None:
        samples = at_every_step(samples, graph.of_type(g.Input)[0].shape, graph.timesteps)
        _check_calibration(samples, graph.timesteps)
    compiled = compile_graph(graph, chosen, samples, stage, options, mapping, memory)
    buffer = io.BytesIO()
    write(source.graph, buffer)
    calibration = (
        None
        if samples is None
        else {"source": origin, "samples": len(samples), "sha256": _hash(samples)}
    )
    manifest = _manifest(source.name, source.sha256, chosen, compiled.placed)
    manifest |= {
        "calibration": calibration,
        "nir": _nir_facts(graph.dt, nir_options),
        "quantization": [r.as_dict() for r in compiled.records],
        "quantize_options": _options(options),
        "trusted_pickle": source.trusted,
    }
    stage(f"done in {time.perf_counter() - start:.1f} s")
    return Bundle(compiled.placed, buffer.getvalue(), manifest)


def _load_for_images(load: Callable[..., Source], shape: tuple[int, ...] | None) -> Source:
    """A network that shows one image at each of its steps; the samples may be the images."""
    try:
        return load(example_shape=shape)
    except InputError as error:
        if shape is None or error.problems[0].code not in ("SFX-E101", "SFX-E102"):
            raise
        try:
            return load(example_shape=(1, *shape))
        except SfxError:
            raise error from None


def judge(
    path: str | Path,
    data: Data,
    target: str = "loihi",
    *,
    calibrate: Data | None = None,
    model: str | None = None,
    bits: int = 8,
) -> Judge:
    """Scores choices of bits for a model on the labelled samples of `data`.

    Raises InputError (SFX-E622) without labels or calibration samples.
    """
    from sfx.backends.fast.backend import FastBackend
    from sfx.toolchain.compiler import lower
    from sfx.toolchain.ir.nir_bridge import to_graph
    from sfx.toolchain.precision.judge import Judge
    from sfx.toolchain.targets import load as load_target

    source = load_model(path, model=model, example_shape=tuple(data.x.shape[1:]))
    samples = source.calibration if calibrate is None else calibrate.x
    if data.y is None or samples is None:
        what = "labels y" if data.y is None else "calibration samples: give --calibrate"
        raise InputError("SFX-E622", f"judging accuracy needs {what}", where=str(path))
    graph = lower(to_graph(source.graph))
    for given in (samples, data.x):
        _check_calibration(given, graph.timesteps)
    fast = FastBackend()
    return Judge(
        graph,
        samples.astype(np.int64),
        data.x.astype(np.int64),
        data.y,
        lambda program, x: fast.run(program, x).sums,
        load_target(target).limits.max_delay,
        bits,
    )


def _options(options: Options | None) -> dict[str, Any]:
    from sfx.toolchain.quantize.options import Options

    chosen = options or Options()
    return {
        "method": chosen.method,
        "bits": chosen.bits,
        "layers": dict(sorted(chosen.layers.items())),
        "effort": chosen.effort,
    }


def _read_onnx(path: Path, timesteps: int | None) -> nir.NIRGraph:
    from sfx.backends.onnx import parts

    parts.require("onnx")
    from sfx.frontends.onnx_file.read import read
    from sfx.toolchain.ir.check import check_graph
    from sfx.toolchain.ir.nir_bridge import from_graph

    graph = read(path, timesteps=timesteps)
    check_graph(graph)
    return from_graph(graph)


def _of_graph(graph: Any) -> Source:
    """A NIR graph in memory as the compiler takes it."""
    from sfx.toolchain.ir.nir_bridge import write
    from sfx.toolchain.ir.nir_ext import facts

    buffer = io.BytesIO()
    write(graph, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return Source(graph, str(facts(graph).get("name", "model")), digest, None)


def _nir_facts(dt: float, options: NirOptions | None) -> dict[str, Any]:
    """How the NIR graph was read: the step in seconds, and what the options said."""
    given = (None, None) if options is None else (options.convention, options.reset)
    return {"dt": dt, "convention": given[0] or "nir", "reset": given[1]}


def _compile_netx(
    path: Path,
    target: Target,
    calibrate: Data | None,
    timesteps: int | None,
    stage: Stage,
    mapping: MappingOptions,
) -> Bundle:
    """A lava-dl network: integers in, the same integers out. The bundle has no NIR source."""
    from sfx.frontends.netx import read
    from sfx.toolchain.compiler import compile_program

    if calibrate is not None:
        raise InputError(
            "SFX-E621",
            "a .net file holds integers already, there is nothing to calibrate",
            where=str(path),
            hint="leave --calibrate out",
        )
    start = time.perf_counter()
    stage("read netx")
    digest = _sha256(path)
    program = read(path, timesteps=timesteps)
    try:
        placed = compile_program(program, target, stage, mapping)
    except SfxError as error:
        from sfx.backends.reference.backend import ReferenceBackend
        from sfx.toolchain.verify.overflow import explained

        raise explained(error, program, ReferenceBackend().layers) from error
    manifest = _manifest(path.stem, digest, target, placed)
    stage(f"done in {time.perf_counter() - start:.1f} s")
    return Bundle(placed, b"", manifest | {"calibration": None, "quantization": []})


def _nothing_to_quantize(calibrate: Data | None, where: str) -> None:
    if calibrate is not None:
        raise InputError(
            "SFX-E621",
            "holds integers already, there is nothing to calibrate",
            where=where,
            hint="leave --calibrate out",
        )


def _compile_trained(
    program: Program,
    bits: Mapping[str, int],
    sha256: str,
    target: Target,
    stage: Stage,
    mapping: MappingOptions,
) -> Bundle:
    """A fine-tuned network: the integers it was trained with. The bundle has no NIR source."""
    from sfx.toolchain.compiler import compile_program

    start = time.perf_counter()
    placed = compile_program(program, target, stage, mapping)
    manifest = _manifest(program.name, sha256, target, placed)
    stage(f"done in {time.perf_counter() - start:.1f} s")
    trained = {"weight_bits": dict(bits)}
    return Bundle(placed, b"", manifest | {"calibration": None, "quantization": [], "qat": trained})


def _manifest(name: str, sha256: str, target: Target, placed: PlacedProgram) -> dict[str, Any]:
    """What every bundle says about itself; calibration and quantization are the caller's."""
    from sfx.toolchain.compiler import statistics
    from sfx.toolchain.targets.table import to_table

    return {
        "versions": {"sfx": sfx.__version__, "numpy": np.__version__},
        "model": {"name": name, "sha256": sha256},
        "target": target.name,
        "target_table": to_table(target),
        "statistics": statistics(placed.program) | {"cores": placed.cores, "chips": placed.chips},
    }


def remap(
    bundle: Bundle,
    data: Data | None = None,
    *,
    target: str | None = None,
    objective: str = "latency",
    seed: int = 0,
    stage: Stage = lambda name: None,
) -> Bundle:
    """The same Program placed again: for another objective or target, or by measured spike rates.

    data: samples whose events weigh the traffic; without them rates come from the calibration.
    Raises FitError if it does not fit; no integer of the Program changes.
    """
    from sfx.toolchain.mapping.place import MappingOptions, place
    from sfx.toolchain.targets import load as load_target
    from sfx.toolchain.targets.table import to_table

    chosen = target_of(bundle) if target is None else load_target(target)
    records = bundle.manifest.get("quantization", ())
    known = {r["population"]: r["rate"] for r in records if r.get("rate") is not None}
    if data is not None:
        stage("count events")
        counts = run(bundle, data, backend_name="fast").counts
        known |= {name: float(e.mean()) / counts.samples for name, e in counts.events.items()}
    stage("place")
    placed = place(bundle.program, chosen, MappingOptions(objective, seed, known))
    statistics = bundle.manifest["statistics"] | {"cores": placed.cores, "chips": placed.chips}
    manifest = bundle.manifest | {
        "target": chosen.name,
        "target_table": to_table(chosen),
        "statistics": statistics,
    }
    return Bundle(placed, bundle.nir, manifest)


def inspect(path: str | Path, nir_options: NirOptions | None = None) -> str:
    """What a file holds, as text: a Program (.sfx, .net), a NIR graph, a checkpoint's tensors."""
    from sfx.toolchain.ir.text import graph_text, program_text

    path = Path(path)
    if path.suffix == ".sfx":
        return program_text(load(path).program)
    if path.suffix == ".net":
        from sfx.frontends.netx import read
        from sfx.frontends.netx_file import read_file

        return program_text(read(path, timesteps=read_file(path).timesteps or 1))
    if path.suffix in (".nir", ".onnx"):
        from sfx.toolchain.ir.nir_bridge import to_graph

        graph = load_model(path).graph
        known = graph.metadata.get("timesteps")
        steps = None if known is not None else 1
        return graph_text(to_graph(graph, timesteps=steps, options=nir_options))
    from sfx.frontends.describe import describe

    return describe(path)


def save(bundle: Bundle, path: str | Path) -> None:
    """Write `model.sfx` atomically."""
    bundles.write(bundle, path)


def load(path: str | Path, *, balanced: bool = True) -> Bundle:
    """Read `model.sfx`. Raises InputError (SFX-E60x).

    balanced=False accepts a Program whose delays were changed on purpose (see `verify`).
    A bundle of an older schema is mapped again, onto its target as it is listed now.
    """
    bundle = bundles.read(path, balanced=balanced)
    if bundle.manifest["schema_version"] != bundles.UNPLACED:
        return bundle
    from sfx.toolchain.targets import names

    target = bundle.placed.target
    return remap(bundle, target=target if target in names() else None)


def backend(name: str, *, memory: int | None = None, device: str = "cpu") -> Backend:
    """The backend called `name`. Raises InputError (SFX-E630) or MissingPartError.

    memory (bytes of a batch) and device ("cpu" or "cuda") are for `fast`.
    """
    if name == "reference":
        from sfx.backends.reference.backend import ReferenceBackend

        return ReferenceBackend()
    if name == "fast":
        from sfx.backends.fast.backend import MEMORY, FastBackend

        return FastBackend(memory or MEMORY, device)
    if name == "lava":
        from sfx.backends.lava.backend import LavaBackend

        return LavaBackend()
    if name == "onnx":
        from sfx.backends.onnx.backend import OnnxBackend

        return OnnxBackend()
    raise InputError("SFX-E630", f"no backend '{name}'", hint=f"one of: {', '.join(BACKENDS)}")


def run(
    bundle: Bundle | Program,
    data: Data,
    *,
    backend_name: str = "fast",
    memory: int | None = None,
    device: str = "cpu",
    engine: str = "local",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Simulated hardware inference on every sample of `data`.

    engine "dask" spreads the samples over the workers of `scheduler` (an address; None: one worker
    per core of this machine). memory, device: as of `backend`. Raises InputError (SFX-E630, E631;
    SFX-E605 if one sample takes more memory than there is, or than `memory`).
    """
    program = _program(bundle)
    require(of_run(program, backend_name), f"one sample on {backend_name}", allowed=memory)
    x = _events(program, data.x)
    make = functools.partial(backend, backend_name, memory=memory, device=device)
    if engine == "dask":
        from sfx.toolchain import cluster

        return cluster.run(program, x, make, scheduler=scheduler, progress=progress)
    if engine != "local" or scheduler is not None:
        raise InputError(
            "SFX-E631",
            f"no engine '{engine}'" if engine != "local" else "--scheduler needs --engine dask",
            hint="one of: local, dask",
        )
    return make().run(program, x, progress=progress)


def stream(
    program: Program,
    x: NDArray[Any],
    backend_name: str,
    *,
    states: bool = False,
    progress: Progress | None = None,
) -> Stream:
    """The hardware-step record of samples streamed back to back."""
    return backend(backend_name).stream(
        program, _events(program, x), states=states, progress=progress
    )


def _events(program: Program, x: NDArray[Any]) -> NDArray[np.int64]:
    """Samples [K, T, *input shape], or [K, *input shape] for every step, checked."""
    x = at_every_step(x, program.input.shape, program.timesteps)
    check_input(x, program.input, program.timesteps, "data")
    return x.astype(np.int64)


def verify(
    bundle: Bundle | Program,
    x: NDArray[Any],
    *,
    against: str = "lava",
    mode: str = "full",
    states: bool = False,
    witness: Program | None = None,
    sample_fraction: float = 1.0,
    resume: Path | None = None,
    replay_file: Path | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Run the reference and `against` on the samples streamed back to back; compare everything.

    mode  full: the whole net in one run; layerwise: what each population received is replayed
          through `against` alone, of `sample_fraction` of its neurons, kept in `resume`
    witness  hand `against` this Program instead: how to see that the comparison can fail.
    replay_file  written if something differs: the first neuron that does, with all it received
    memory  bytes it may take; refused before it starts (SFX-E605) if that cannot be enough
    Raises MissingPartError where the witness is not installed.
    """
    from sfx.toolchain.verify.compare import compare
    from sfx.toolchain.verify.layerwise import layerwise, replayer

    if mode not in ("full", "layerwise"):
        raise InputError("SFX-E702", f"no mode '{mode}'", hint="full or layerwise")
    if mode == "full" and (sample_fraction != 1 or resume is not None):
        raise InputError(
            "SFX-E702", "a sample or a file to resume needs --mode layerwise, mode is full"
        )
    program = _program(bundle)
    other = witness or program
    if [(p.name, p.shape) for p in program] != [(p.name, p.shape) for p in other]:
        raise InputError("SFX-E703", "the two Programs do not have the same populations")
    x = _events(program, x)
    steps = len(x) * program.timesteps + program.last_phase
    records = of_record(program, steps, states) * (1 if mode == "layerwise" else 2)
    require(records, f"the record of {steps} steps", allowed=memory)
    if mode == "layerwise":
        chosen = replayer(backend(against))
        expected = stream(program, x, "reference", states=states)
        verdict = layerwise(
            program,
            x,
            expected,
            chosen,
            witness=other,
            states=states,
            fraction=sample_fraction,
            resume=resume,
            progress=progress,
        )
        return _explained(verdict, program, other, x, expected, replay_file)
    got = stream(other, x, against, states=states, progress=progress)
    expected = stream(program, x, "reference", states=states)
    verdict = compare(
        program,
        expected,
        _cut(got, expected.steps),
        against=against,
        mode=mode,
        states=states,
        samples=len(x),
    )
    return _explained(verdict, program, other, x, expected, replay_file)


def _explained(
    verdict: Verdict,
    program: Program,
    witness: Program,
    x: NDArray[Any],
    expected: Stream,
    replay_file: Path | None,
) -> Verdict:
    """The verdict with the operands of its first mismatch, which also go to `replay_file`."""
    from sfx.backends.reference.backend import ReferenceBackend
    from sfx.toolchain import replay as replays
    from sfx.toolchain.verify.cause import cause

    first = verdict.first_mismatch
    if first is None:
        return verdict
    found = replays.replay_of(
        program, witness, x.astype(np.int64), expected, first, verdict.against
    )
    if found is None:
        return verdict
    if replay_file is not None:
        replays.write(found, replay_file)
    side = found.expected
    alone = ReferenceBackend().replay(side.program, side.played, found.steps, states=True)
    made = cause(program, expected, first.population, first.neuron, first.step, alone, found.label)
    return verdict if made is None else replace(verdict, cause=tuple(made.lines()))


def replay(path: str | Path, *, against: str | None = None) -> tuple[Replay, list[Row]]:
    """Run the neuron in a replay file again, on the reference and on `against`, step by step.

    against: the witness; by default the one that the file was written with.
    Raises InputError (SFX-E600, E601, E708), MissingPartError without the witness.
    """
    from sfx.backends.reference.backend import ReferenceBackend
    from sfx.toolchain import replay as replays
    from sfx.toolchain.verify.layerwise import replayer

    found = replays.read(Path(path))
    witness = replayer(backend(against or found.against))
    return found, replays.rerun(found, ReferenceBackend(), witness)


def diff(a: Bundle, b: Bundle) -> list[Change]:
    """Every difference of two compiled models: of their Programs, and of what they came from."""
    from sfx.toolchain.verify.diff import Change
    from sfx.toolchain.verify.diff import diff as differences

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
    data: Data | None = None,
    *,
    verified: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Mapping, energy and latency as plain values (the keys of `sfx report --json`).

    data: real inputs whose events are counted on the reference backend. Without them only the
    mapping is reported, because energy without events would be a guess.
    verified: the JSON of `sfx verify` on this model. Raises InputError (SFX-E218) if it is not.
    """
    from sfx.toolchain.report.collect import collect
    from sfx.toolchain.report.verdict import read_verdict

    verdict = None if verified is None else read_verdict(Path(verified), bundle.program)
    result = None if data is None else run(bundle, data, progress=progress)
    counts = None if result is None else result.counts
    accuracy = None
    if result is not None and data is not None and data.y is not None:
        accuracy = float(np.mean(result.predictions == data.y))
    target = target_of(bundle)
    return collect(bundle.placed, counts, accuracy, bundle.manifest, target, verdict)


def target_of(bundle: Bundle) -> Target:
    """The target a bundle was built for, as it was then. Raises InputError (SFX-E402, SFX-E601)."""
    from sfx.toolchain.targets.parse import parse

    table = bundle.manifest.get("target_table")
    if not isinstance(table, dict):
        raise InputError("SFX-E601", "the bundle does not carry its target")
    return parse(dict(table), f"{bundle.manifest.get('target')} in the bundle")


def to_lava(bundle: Bundle | Program) -> LavaNetwork:
    """The connected Lava processes of a compiled model, with named in and out ports.

    Attach your own sources and sinks and choose the run configuration (Loihi2SimCfg here,
    Loihi2HwCfg where you have it). Raises MissingPartError (SFX-E501) without Lava.
    """
    from sfx.backends.lava.build import to_lava as build

    return build(_program(bundle))


def export_onnx(bundle: Bundle | Program, path: str | Path) -> None:
    """Write the Program as an ONNX model of integer operators, atomically.

    Raises MissingPartError (SFX-E530) without onnx, SfxError (SFX-E531) if it exceeds 2 GiB,
    InputError (SFX-E603) if the file cannot be written.
    """
    from sfx.backends.onnx import parts

    parts.require("onnx")
    from sfx.backends.onnx.export import export as onnx_export

    model = onnx_export(_program(bundle))
    atomic_write(Path(path), model.SerializeToString(deterministic=True))


def export_netx(bundle: Bundle | Program, path: str | Path) -> str:
    """Write a sequential Program as a lava-dl network (`.net`), atomically, exactly or not at all.

    The file is read back and compared before it is written. Returns the name of the read-out
    population that netx has no layer for (its weights stay with the host), "" without one.
    Raises UnsupportedError (SFX-E642) with every population that netx has no form for, InputError
    (SFX-E603) if the file cannot be written.
    """
    from tempfile import TemporaryDirectory

    from sfx.backends.netx.export import export as netx_export
    from sfx.frontends.netx import read

    program = _program(bundle)
    made = netx_export(program)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.net"
        copy.write_bytes(made.content)
        made.check(program, read(copy))
    atomic_write(Path(path), made.content)
    return made.left_out


def standard_nir(bundle: Bundle) -> bytes:
    """The bundle's NIR source as a file of standard nodes. Raises UnsupportedError (SFX-E644)."""
    from sfx.toolchain.ir.conventions import NirOptions
    from sfx.toolchain.ir.nir_bridge import read, to_graph, write
    from sfx.toolchain.standard_nir import standard

    if not bundle.nir:
        raise InputError("SFX-E641", "the bundle has no NIR source")
    facts = bundle.manifest.get("nir", {})
    options = NirOptions(facts.get("convention"), facts.get("dt"), facts.get("reset"))
    graph = to_graph(
        read(io.BytesIO(bundle.nir)), timesteps=bundle.program.timesteps, options=options
    )
    buffer = io.BytesIO()
    write(standard(graph), buffer)
    return buffer.getvalue()


def _program(bundle: Bundle | Program) -> Program:
    return bundle if isinstance(bundle, Program) else bundle.program


def _cut(record: Stream, steps: int) -> Stream:
    """A witness Program with other delays may run longer; compare the steps both have."""
    if record.steps <= steps:
        return record
    parts = [{k: a[:steps] for k, a in m.items()} for m in (record.spikes, record.u, record.v)]
    return Stream(record.samples, *parts)


def _check_calibration(samples: NDArray[Any], timesteps: int) -> None:
    if samples.ndim < 3 or samples.shape[1] != timesteps:
        raise InputError(
            "SFX-E613",
            f"calibration samples have shape {samples.shape}, the model takes {timesteps} steps",
            hint="x is [samples, steps, channels, height, width]",
        )


def _hash(x: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E600", f"cannot be read: {reason}", where=str(path)) from error


__all__ = [
    "BACKENDS",
    "Bundle",
    "Data",
    "SfxError",
    "Source",
    "backend",
    "compile",
    "export",
    "export_onnx",
    "load",
    "load_model",
    "report",
    "run",
    "save",
    "stream",
    "to_lava",
    "verify",
]
