"""A `Source` becomes a bundle: quantized, mapped, with a manifest of what made it."""

from __future__ import annotations

import hashlib
import io
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import sfx

from ...data import Data, Samples, at_every_step, calibration_of, classes_fit, samples_of
from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError, SfxError
from ...ir import graph as g
from ...ir.digest import digest
from ...ir.program import Program
from .renamed import renamed
from .sources import Source, load_for_samples, load_model, of_graph, sha256_of

if TYPE_CHECKING:
    import nir

    from ...compiler.mapping.place import MappingOptions
    from ...compiler.precision.judge import Judge
    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions
    from ...ir.graph import Graph
    from ...ir.placed import PlacedProgram
    from ...qat.model import QatModel
    from ...targets.target import Target
    from .witnessing import Witnessed

Stage = Callable[[str], None]


@renamed("takes", "input_layout")
def compile(
    source: Source | nir.NIRGraph | QatModel | str | Path,
    target: str = "loihi",
    *,
    calibrate: Samples | None = None,
    model: str | None = None,
    timesteps: int | None = None,
    net_input: str | None = None,
    input_layout: str = "TB",
    nir_options: NirOptions | None = None,
    objective: str = "latency",
    seed: int = 0,
    stage: Stage = lambda name: None,
    options: Options | None = None,
    trust_pickle: bool = False,
    memory: int | None = None,
    check: bool = True,
    check_samples: int = 1,
) -> Bundle:
    """Compile a model for `target` ('loihi' is loihi2; or a TOML file).

    source: a model file, a loaded one, a NIR graph (of `export`), or what `sfx.qat.prepare` made
    (or `sfx.qat.save` wrote), whose integers stay as they were trained.
    calibrate: samples that choose the scales (`sfx.Data`, an array, tensor, lists or a DATA file);
    default: the samples in the checkpoint, if any.
    timesteps: T of a sample, for a NIR file that does not say it (default: that of `calibrate`),
    or instead of what a lava-dl `.net` file says. A `.net` holds integers: nothing is quantized.
    net_input: what samples of a `.net` hold whose input neurons take weight x + bias: `raw` (x) or
    `transformed` (that number); must be said unless the file leaves no doubt.
    options: method, bits, effort and event counts (`sfx.toolchain.compiler.quantize.options`).
    model, input_layout: a network of one's own for a bare state_dict, see `load_model`.
    trust_pickle: let a `.pt` run whatever code it holds, see `load_model`; in the manifest.
    memory: bytes it may take; refused before it starts (SFX-E605) if that cannot be enough.
    nir_options: dt and conventions of the framework that wrote a NIR file.
    objective: what the mapping is good at: cores (fewest), latency (busiest core idlest) or energy;
    or intel: cut as Intel's compiler cuts, each population on cores of its own.
    seed: of the placement.
    check: run a torch model itself beside its graph on `check_samples` of the calibration samples
    (without any, drawn ones) and compare every neuron; the manifest says what was compared.
    Raises SfxError: InputError (SFX-E180 to E185 where the graph is not the model),
    UnsupportedError, or FitError if it does not fit the target.
    """
    from ...compiler.compile import compile_graph
    from ...compiler.mapping.place import MappingOptions
    from ...formats.nir.bridge import to_graph, write
    from ...qat.store import is_qat
    from ...qat.store import read as read_qat
    from ...targets import load as load_target

    start = time.perf_counter()
    chosen = load_target(target)
    calibrate = None if calibrate is None else calibration_of(calibrate)
    mapping = MappingOptions(objective, seed)
    if hasattr(source, "infer_types"):  # a nir.NIRGraph, without importing nir for it
        source = of_graph(source)
    if not isinstance(source, Source | str | Path):
        _nothing_to_quantize(calibrate, "the fine-tuned model")
        return _compile_trained(source.program(), source.template.bits, "", chosen, stage, mapping)
    if not isinstance(source, Source) and not trust_pickle and Path(source).suffix == ".net":
        return _compile_netx(Path(source), chosen, calibrate, timesteps, stage, mapping, net_input)
    if not isinstance(source, Source) and not trust_pickle and is_qat(source):
        _nothing_to_quantize(calibrate, str(source))
        stored = read_qat(source)
        digest = sha256_of(Path(source))
        return _compile_trained(stored.program, stored.bits, digest, chosen, stage, mapping)
    if not isinstance(source, Source):
        stage("export")
        source = load_for_samples(
            source,
            None if calibrate is None else tuple(calibrate.x.shape[1:]),
            model=model,
            input_layout=input_layout,
            timesteps=timesteps,
            trust_pickle=trust_pickle,
        )
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
        samples = _fitted(samples, graph, "calibration samples")
    if source.exported is not None and check:
        stage("the model beside its graph")
    found = _witnessed(source, graph, samples, origin, check_samples if check else 0)

    def lowered(form: Graph) -> None:
        nonlocal found
        found = None if found is None else found.beside(form)

    compiled = compile_graph(graph, chosen, samples, stage, options, mapping, memory, lowered)
    buffer = io.BytesIO()
    write(source.graph, buffer)
    calibration = (
        None
        if samples is None
        else {"source": origin, "samples": len(samples), "sha256": _hash(samples)}
    )
    manifest = manifest_of(source.name, source.sha256, chosen, compiled.placed)
    manifest |= {
        "calibration": calibration,
        "nir": _nir_facts(source.graph, nir_options),
        "quantization": [r.as_dict() for r in compiled.records],
        "quantize_options": _options(options),
        "trusted_pickle": source.trusted,
        "weights": source.weights,
        "witness": None if found is None else found.result.as_dict(),
        "silent": [s.as_dict() for s in compiled.silent],
    }
    stage(f"done in {time.perf_counter() - start:.1f} s")
    return Bundle(compiled.placed, buffer.getvalue(), manifest)


def judge(
    path: str | Path,
    data: Samples,
    target: str = "loihi",
    *,
    calibrate: Samples | None = None,
    model: str | None = None,
    bits: int = 8,
    counts: int | None = None,
    nir_options: NirOptions | None = None,
    check: bool = True,
    check_samples: int = 1,
) -> Judge:
    """Scores choices of bits for a model on the labelled samples of `data`.

    data, calibrate, nir_options, check, check_samples: as of `compile`. A NIR file that does not
    say T takes that of `data`. Raises InputError: SFX-E622 without labels or calibration samples,
    SFX-E617 for labels that are no class of the model, SFX-E180 to E185 as `compile`.
    """
    from ....backends.fast.backend import FastBackend
    from ...compiler.compile import entering, lower
    from ...compiler.precision.judge import Judge
    from ...compiler.quantize.options import Options
    from ...formats.nir.bridge import to_graph
    from ...targets import load as load_target

    data = samples_of(data)
    source = load_model(path, model=model, example_shape=tuple(data.x.shape[1:]))
    samples, origin = source.calibration, "checkpoint"
    if calibrate is not None:
        samples, origin = calibration_of(calibrate).x, "--calibrate"
    if data.y is None or samples is None:
        what = "labels y" if data.y is None else "calibration samples: give --calibrate"
        raise InputError("SFX-E622", f"judging accuracy needs {what}", where=str(path))
    steps = None if "timesteps" in source.graph.metadata else int(data.x.shape[1])
    imported = to_graph(source.graph, timesteps=steps, options=nir_options)
    classes_fit(data.y, math.prod(imported.of_type(g.Output)[0].shape))
    samples = _fitted(samples, imported, "calibration samples")
    x = _fitted(data.x, imported, "samples")
    widest = max((samples, x), key=lambda given: int(given.max())).astype(np.int64)
    found = _witnessed(source, imported, samples, origin, check_samples if check else 0)
    graph = lower(imported, entering(imported, widest, Options(counts=counts)))
    found = None if found is None else found.beside(graph)
    fast = FastBackend()
    return Judge(
        graph,
        samples.astype(np.int64),
        x.astype(np.int64),
        data.y,
        lambda program, x: fast.run(program, x).sums,
        load_target(target).limits.max_delay,
        bits,
        counts,
        witness=None if found is None else found.result.as_dict(),
    )


def _witnessed(
    source: Source, graph: Graph, samples: NDArray[Any] | None, origin: str, count: int
) -> Witnessed | None:
    """A torch model beside `graph` on `count` samples, 0: left out; None: there is no model."""
    from .witnessing import left_out, witness

    if source.exported is None:
        return source.witnessed
    if not count:
        return left_out()
    return witness(source.exported, samples, count, graph=graph, source=origin)


def _options(options: Options | None) -> dict[str, Any]:
    from ...compiler.quantize.options import Options

    chosen = options or Options()
    return {
        "method": chosen.method,
        "bits": chosen.bits,
        "layers": dict(sorted(chosen.layers.items())),
        "effort": chosen.effort,
        "counts": chosen.counts,
    }


def _nir_facts(graph: nir.NIRGraph, options: NirOptions | None) -> dict[str, Any]:
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


def _compile_netx(
    path: Path,
    target: Target,
    calibrate: Data | None,
    timesteps: int | None,
    stage: Stage,
    mapping: MappingOptions,
    net_input: str | None,
) -> Bundle:
    """A lava-dl network: integers in, the same integers out. The bundle has no NIR source."""
    from ...compiler.compile import compile_program
    from ...formats.netx.read import input_facts, read

    if calibrate is not None:
        raise InputError(
            "SFX-E621",
            "a .net file holds integers already, there is nothing to calibrate",
            where=str(path),
            hint="leave --calibrate out",
        )
    start = time.perf_counter()
    stage("read netx")
    digest = sha256_of(path)
    program = read(path, timesteps=timesteps, data=net_input)
    try:
        placed = compile_program(program, target, stage, mapping)
    except SfxError as error:
        from ....backends.reference.backend import ReferenceBackend
        from ...verify.overflow import explained

        raise explained(error, program, ReferenceBackend().layers) from error
    manifest = manifest_of(path.stem, digest, target, placed)
    facts = input_facts(path, net_input)
    manifest |= {} if facts is None else {"net_input": facts}
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
    from ...compiler.compile import compile_program

    start = time.perf_counter()
    placed = compile_program(program, target, stage, mapping)
    manifest = manifest_of(program.name, sha256, target, placed)
    stage(f"done in {time.perf_counter() - start:.1f} s")
    trained = {"weight_bits": dict(bits)}
    return Bundle(placed, b"", manifest | {"calibration": None, "quantization": [], "qat": trained})


def manifest_of(name: str, sha256: str, target: Target, placed: PlacedProgram) -> dict[str, Any]:
    """What every bundle says about itself; calibration and quantization are the caller's."""
    from ...compiler.compile import statistics
    from ...targets.table import to_table

    return {
        "versions": {"sfx": sfx.__version__, "numpy": np.__version__},
        "model": {"name": name, "sha256": sha256},
        "program": digest(placed.program),
        "target": target.name,
        "target_table": to_table(target),
        "statistics": statistics(placed.program) | {"cores": placed.cores, "chips": placed.chips},
    }


def _fitted(samples: NDArray[Any], graph: g.Graph, what: str) -> NDArray[Any]:
    """Samples [K, T, *input shape] of this graph. Raises InputError (SFX-E613)."""
    shape = graph.of_type(g.Input)[0].shape
    wanted = (graph.timesteps, *shape)
    fitted = at_every_step(samples, shape, graph.timesteps)
    if fitted.shape[1:] != wanted:
        raise InputError(
            "SFX-E613",
            f"{what} have shape {tuple(samples.shape[1:])}, the model takes {wanted}: its "
            f"{graph.timesteps} steps first",
            hint="x is [samples, steps, *input shape], such as [samples, steps, channels, height, "
            "width]; images [samples, *input shape] are shown at every step",
        )
    return fitted


def _hash(x: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
