"""A model becomes a bundle: read, quantized, mapped, with a manifest of what made it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data import Data, Samples, calibration_of
from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError, SfxError
from .beside import calibration, fitted, imported, witnessed
from .dumping import Dump
from .manifests import calibration_facts, manifest_of, nir_facts, quantize_facts
from .models import Integers, ReadOptions, Source
from .renamed import renamed
from .sources import source_of

if TYPE_CHECKING:
    import nir
    import torch

    from ...compiler.compile import Compiled
    from ...compiler.mapping.place import MappingOptions
    from ...compiler.passes.base import Watch
    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions
    from ...ir.graph import Graph
    from ...qat.model import QatModel
    from ...targets.target import Target
    from .witnessing import Witnessed

Stage = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Job:
    """What `compile` was asked to do with a model, beside how its file is read.

    calibrate  the user's samples, checked; check: samples of the comparison with torch, 0 for none
    """

    target: Target
    mapping: MappingOptions
    stage: Stage
    options: Options | None
    nir_options: NirOptions | None
    calibrate: Data | None
    memory: int | None
    check: int
    watch: Watch


@renamed("takes", "input_layout")
def compile(
    source: Source | nir.NIRGraph | torch.nn.Module | QatModel | str | Path,
    target: str | torch.Tensor = "loihi",
    *,
    example: torch.Tensor | None = None,
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
    weights: str | None = None,
    memory: int | None = None,
    check: bool = True,
    check_samples: int = 1,
    dump_passes: str | Path | None = None,
) -> Bundle:
    """Compile a model for `target` ('loihi' is loihi2; or a TOML file).

    source: a model file, a loaded one, a torch module, a NIR graph (of `export`), or what
    `sfx.qat.prepare` made (or `sfx.qat.save` wrote), whose integers stay as they were trained.
    example: one sample [T, 1, *input shape] to trace a torch module on, by default of the shape of
    `calibrate`. It may stand second, in place of the target: `sfx.compile(net, example)`.
    calibrate: samples that choose the scales (`sfx.Data`, an array, tensor, lists or a DATA file);
    default: the samples in the checkpoint, if any.
    timesteps: T of a sample, for a NIR file that does not give it (default: that of `calibrate`),
    or instead of what a lava-dl `.net` file gives. A `.net` holds integers: nothing is quantized.
    net_input: what samples of a `.net` hold whose input neurons take weight x + bias: `raw` (x) or
    `transformed` (that number); needed unless the file leaves no doubt.
    options: method, bits, effort and event counts (`sfx.toolchain.compiler.quantize.options`).
    model, input_layout, weights: a network of one's own for a state_dict, see `load_model`.
    trust_pickle: let a `.pt` run whatever code it holds, see `load_model`; in the manifest.
    memory: bytes that it may use; refused before it starts (SFX-E605) if it needs more.
    nir_options: dt and conventions of the framework that wrote a NIR file; dt of a torch model too.
    objective: what the mapping minimizes: cores, latency (the load of the busiest core) or energy;
    or intel: cut as Intel's compiler cuts, each population on cores of its own.
    seed: of the placement.
    check: run a torch model itself beside its graph on `check_samples` of the calibration samples
    (without any, drawn ones) and compare every neuron; the manifest says what was compared.
    dump_passes: a folder to write the model to, in text, after every pass of the compiler: the
    imported graph first, the Program last. It is made if it does not exist; an earlier dump in it
    is replaced, and nothing else (SFX-E606).
    Raises SfxError: InputError (SFX-E180 to E185 where the graph is not the model),
    UnsupportedError, or FitError if it does not fit the target.
    """
    from ...compiler.mapping.place import MappingOptions
    from ...compiler.passes.base import ignore
    from ...targets import load as load_target

    start = time.perf_counter()
    if not isinstance(target, str):
        example, target = target, "loihi"
    chosen = load_target(target)
    samples = None if calibrate is None else calibration_of(calibrate)
    mapping, count = MappingOptions(objective, seed), check_samples if check else 0
    watch = ignore if dump_passes is None else Dump(Path(dump_passes))
    job = Job(chosen, mapping, stage, options, nir_options, samples, memory, count, watch)
    dt = None if nir_options is None else nir_options.dt
    asked = ReadOptions(
        model, None, input_layout, timesteps, trust_pickle, net_input, weights, dt, example
    )
    shape = None if samples is None else tuple(samples.x.shape[1:])
    stage("read the model")
    found = source_of(source, shape, asked)
    if isinstance(found, Source):
        made = _quantized(found, timesteps, job)
    else:
        where = str(source) if isinstance(source, str | Path) else "the fine-tuned model"
        made = _placed(found, job, where)
    stage(f"done in {time.perf_counter() - start:.1f} s")
    return made


def _placed(model: Integers, job: Job, where: str) -> Bundle:
    """A Program as it is: the same integers out. The bundle has no NIR source."""
    from ...compiler.compile import compile_program
    from ...compiler.passes.base import Trail

    if job.calibrate is not None:
        raise InputError(
            "SFX-E621",
            "holds integers already, there is nothing to calibrate",
            where=where,
            hint="leave --calibrate out",
        )
    _bits_are_held(model, job.options, where)
    try:
        job.watch("imported", model.program)
        trail = Trail(job.watch)
        placed = compile_program(model.program, job.target, job.stage, job.mapping, trail)
    except SfxError as error:
        if not model.saturates:
            raise
        from ....backends.reference.backend import ReferenceBackend
        from ...verify.overflow import explained

        raise explained(error, model.program, ReferenceBackend().layers) from error
    manifest = manifest_of(model.name, model.sha256, job.target, placed)
    nothing: dict[str, Any] = {"calibration": None, "quantization": []}
    return Bundle(placed, b"", manifest | nothing | dict(model.facts))


def _bits_are_held(model: Integers, options: Options | None, where: str) -> None:
    """Raise InputError (SFX-E625) if fewer bits are asked of weights than they were trained in."""
    if options is None:
        return
    held = model.facts.get("qat", {}).get("weight_bits", {})
    every = model.program.arithmetic.weight_bits
    names = held or {"its weights": every}
    modules = {q.name: q.module for q in model.program if q.name in names}
    more = {
        name: bits
        for name, bits in names.items()
        if min(bits, every) > _bits_asked(options, name, modules)
    }
    unknown = set(options.layers) - set(names) - set(modules.values())
    if more or unknown:
        name = next(iter(more or unknown))
        told = f"{name} has {more[name]}" if more else f"{name!r} is none of its layers"
        raise InputError(
            "SFX-E625",
            f"holds integers already, which are not rounded to fewer bits: {told}",
            where=where,
            hint="leave --bits and --bits-per-layer out; prepare the float model with fewer bits "
            "(sfx.qat.Options(bits=...)), or compile that",
        )


def _bits_asked(options: Options, name: str, modules: Mapping[str, str]) -> int:
    """Of a population, by its name or its module; those of a cell have the bits of their neuron,
    whose name theirs start with.
    """
    above = sorted((n for n in modules if name.startswith(f"{n}.")), key=len, reverse=True)
    known = (k for n in (name, *above) for k in (n, modules.get(n, "")))
    return next((options.layers[k] for k in known if k in options.layers), options.bits)


def _quantized(source: Source, timesteps: int | None, job: Job) -> Bundle:
    """A float model: its graph beside the torch model, then integers."""
    from ...compiler.compile import compile_graph

    job.stage("import NIR")
    given = None if job.calibrate is None else job.calibrate.x
    graph = imported(source, given, timesteps, job.nir_options)
    samples, origin = calibration(source, given)
    if samples is not None:
        samples = fitted(samples, graph, "calibration samples")
    if source.exported is not None and job.check:
        job.stage("the model beside its graph")
    found = witnessed(source, graph, samples, origin, job.check)

    def lowered(form: Graph) -> None:
        nonlocal found
        found = None if found is None else found.beside(form)

    compiled = compile_graph(
        graph,
        job.target,
        samples,
        job.stage,
        job.options,
        job.mapping,
        job.memory,
        lowered,
        job.watch,
    )
    facts = _facts(source, compiled, found, job)
    return _bundle(
        source, compiled, facts | {"calibration": calibration_facts(samples, origin)}, job
    )


def _facts(source: Source, compiled: Compiled, found: Witnessed | None, job: Job) -> dict[str, Any]:
    """What the manifest says beside what every manifest does."""
    return {
        "nir": nir_facts(source.graph, job.nir_options),
        "quantization": [r.as_dict() for r in compiled.records],
        "quantize_options": quantize_facts(job.options),
        "trusted_pickle": source.trusted,
        "weights": source.weights,
        "witness": None if found is None else found.result.as_dict(),
        "silent": [s.as_dict() for s in compiled.silent],
    } | ({"graded": list(compiled.graded)} if compiled.graded else {})


def _bundle(source: Source, compiled: Compiled, facts: dict[str, Any], job: Job) -> Bundle:
    from ...formats.nir.bridge import write

    buffer = io.BytesIO()
    write(source.graph, buffer)
    manifest = manifest_of(source.name, source.sha256, job.target, compiled.placed)
    return Bundle(compiled.placed, buffer.getvalue(), manifest | facts)
