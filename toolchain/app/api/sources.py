"""Models in: a file, a network or a graph becomes a `Source`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...formats.table import FLOAT, MODELS, Holds
from ...ground.errors import InputError, SfxError
from ...ground.files import atomic_write
from .files import integers_are_fixed, read
from .models import Integers, ReadOptions, Source, of_trained
from .readers import fixed_integers
from .renamed import renamed

if TYPE_CHECKING:
    import nir
    import torch

Shape = tuple[int, ...] | None
"""Of one sample, [T, *input shape] or an image's; None: not known."""
Made = TypeVar("Made")


@renamed("takes", "input_layout")
def export(
    model: torch.nn.Module,
    example: torch.Tensor,
    *,
    name: str = "model",
    input_layout: str = "TB",
    output: int = 0,
    dt: float = 1e-3,
    onnx: str | Path | None = None,
    check: bool = True,
    check_samples: int = 1,
) -> nir.NIRGraph:
    """Trace `model` on `example` [T, 1, *input shape] and return its NIR graph.

    The model may use Norse's, SpikingJelly's, snnTorch's or our own neurons; it is left as it was,
    and may be in DataParallel or torch.compile.

    input_layout  of what forward() receives: "TB" [T, B, ...], "BT" [B, T, ...], "B" one image
            that forward() shows for its own number of steps, "step" one step (the caller loops).
            Its old name `takes` works until the version after the next
    output  which of the returned tensors is deployed
    dt      seconds of one model step
    onnx    write the graph as an ONNX model as well: standard operators over [T, *shape], neurons
            in the domain ai.sfx, their equations in the file; `sfx compile` reads it
    check   run the model itself beside its graph and compare every neuron's spikes and currents on
            `check_samples` samples: `example`, unless it is all zeros, and drawn ones
    Raises UnsupportedError (SFX-E1xx) listing every operation that cannot be mapped; InputError
    (SFX-E180 to E185) where the graph is not the model.
    """
    from ....frontends.tracing.export import traced
    from .witnessing import left_out, remember, witness

    exported = traced(model, example, name=name, input_layout=input_layout, output=output, dt=dt)
    graph = exported.graph
    found = witness(exported, None, check_samples, example=example) if check else left_out()
    remember(graph, found)
    if onnx is not None:
        _write_onnx_model(graph, Path(onnx))
    return graph


def _write_onnx_model(graph: nir.NIRGraph, path: Path) -> None:
    from ....backends.onnx import parts

    parts.require("onnx")
    from ...formats.nir.bridge import to_graph
    from ...formats.onnx.write import to_onnx

    model = to_onnx(to_graph(graph))
    atomic_write(path, model.SerializeToString(deterministic=True))


@renamed("takes", "input_layout")
def load_model(
    path: str | Path,
    *,
    model: str | None = None,
    example_shape: tuple[int, ...] | None = None,
    input_layout: str = "TB",
    timesteps: int | None = None,
    trust_pickle: bool = False,
    weights: str | None = None,
    dt: float | None = None,
) -> Source:
    """Read a float model: a file of a format whose row in `formats/table.py` says that it is one.

    model          `pkg.module:factory` for a bare state_dict of a user's own network
    example_shape  (T, *input shape) to trace that network with
    input_layout   what that network's forward() takes, see `export`
    timesteps      T, for an `.onnx` file that does not say it
    trust_pickle   let a `.pt` run whatever code it holds: whole networks, old files. Only for
                   files that you trust; the bundle records it
    weights        key of the weights in a file that holds several, such as "state_dict" where
                   "state_dict_ema" would be taken; dots lead into dicts in dicts
    dt             seconds of one step of a torch model, by default 1 ms
    Raises InputError or UnsupportedError.
    """
    asked = ReadOptions(
        model, example_shape, input_layout, timesteps, trust_pickle, weights=weights, dt=dt
    )
    return _float(read(Path(path), asked, FLOAT), str(path))


def source_of(
    given: Any, shape: Shape, asked: ReadOptions, holds: Collection[Holds] = MODELS
) -> Source | Integers:
    """Whatever a user may give as a model, as the compiler takes it: a file, a module or a graph.

    shape  of the samples that are there
    holds  what may be in a file
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, str | Path):
        return read_for_samples(Path(given), shape, asked, holds)
    if hasattr(given, "infer_types"):  # a nir.NIRGraph, without importing nir for it
        return fixed_integers(given, "the NIR graph") or of_graph(given)
    if hasattr(given, "template") and Holds.TRAINED in holds:  # a QatModel, without torch
        return of_trained(given.program(), given.template.bits)
    return of_module(given, shape, asked)


def float_source(given: Any, shape: Shape, asked: ReadOptions) -> Source:
    """As `source_of`, of what can be quantized."""
    where = str(given) if isinstance(given, str | Path) else type(given).__name__
    return _float(source_of(given, shape, asked, FLOAT), where)


def _float(found: Source | Integers, where: str) -> Source:
    """What can be quantized. Raises InputError (SFX-E364) for a NIR graph of fixed integers."""
    if isinstance(found, Source):
        return found
    raise integers_are_fixed(where)


def read_for_samples(
    path: Path,
    shape: Shape,
    asked: ReadOptions,
    holds: Collection[Holds] = MODELS,
) -> Source | Integers:
    """`files.read` for samples of this shape, [T, *input shape] or one image, which may be unknown.

    A network that shows one image at each of its own steps (input layout "B") may be given images.
    """
    steps = asked.timesteps if shape is None or asked.timesteps is not None else shape[0]
    asked = replace(asked, timesteps=steps)
    return _of_shape(lambda s: read(path, replace(asked, example_shape=s), holds), shape, asked)


def _of_shape(make: Callable[[Shape], Made], shape: Shape, asked: ReadOptions) -> Made:
    """What `make` makes of samples of this shape, or of such images where the layout is "B"."""
    try:
        return make(shape)
    except InputError as error:
        image = asked.input_layout == "B" and shape is not None
        if not image or error.code not in ("SFX-E101", "SFX-E102"):
            raise
        try:
            return make((1, *(shape or ())))
        except SfxError:
            raise error from None


def of_module(model: torch.nn.Module, shape: Shape, asked: ReadOptions) -> Source:
    """A torch module in memory as the compiler takes it, traced on a sample of this shape.

    shape  of the samples that are there, [T, *input shape] or one image; `asked.example` is first
    Raises InputError: SFX-E150 if neither is given, SFX-E624 for what is no model at all.
    """
    import torch

    from ....frontends.tracing.export import traced

    if not isinstance(model, torch.nn.Module):
        raise InputError(
            "SFX-E624",
            f"cannot compile a {type(model).__name__}",
            hint="give a torch module, a model file, a NIR graph or what sfx.qat.prepare made",
        )
    example = asked.example
    if example is None and shape is None:
        raise InputError(
            "SFX-E150",
            "the shape of a sample is not known",
            where=type(model).__name__,
            hint="give an example, sfx.compile(net, example) with [T, 1, *input shape], or "
            "calibrate=samples",
        )
    dt = 1e-3 if asked.dt is None else asked.dt

    def traced_on(shape: Shape) -> Source:
        given = example
        if given is None:
            assert shape is not None
            given = torch.zeros(shape[0], 1, *shape[1:])
        exported = traced(model, given, input_layout=asked.input_layout, dt=dt)
        return replace(of_graph(exported.graph), exported=exported)

    return traced_on(None) if example is not None else _of_shape(traced_on, shape, asked)


def of_graph(graph: Any) -> Source:
    """A NIR graph in memory as the compiler takes it."""
    from ...formats.nir.bridge import write
    from ...formats.nir.ext import facts
    from .witnessing import remembered

    buffer = io.BytesIO()
    write(graph, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    name = str(facts(graph).get("name", "model"))
    return Source(graph, name, digest, None, witnessed=remembered(graph))
