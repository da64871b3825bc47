"""Models in: a file, a network or a graph becomes a `Source`."""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...ground.errors import InputError, SfxError
from ...ground.files import atomic_write
from .renamed import renamed

if TYPE_CHECKING:
    import nir
    import torch

    from ....frontends.tracing.calls import Exported
    from .witnessing import Witnessed


@dataclass(frozen=True, eq=False)
class Source:
    """A model as the compiler takes it: its NIR graph, where it came from, its own samples."""

    graph: nir.NIRGraph
    name: str
    sha256: str
    calibration: NDArray[Any] | None
    trusted: bool = False
    """Read by Python's unpickler, because the user said so."""
    weights: str = ""
    """Where in a user's own file the weights were, and under which wrapper; "" if it is plain."""
    exported: Exported | None = None
    """The live torch model, where the graph was traced from one."""
    witnessed: Witnessed | None = None
    """What `export` found when it compared the model with the graph; None: no torch model known."""


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

    The model may use Norse's, SpikingJelly's, snnTorch's or our own neurons; it is left as it was.

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
) -> Source:
    """Read a model file: `.pt`, `.safetensors` (our checkpoint format), `.nir` or `.onnx`.

    model          `pkg.module:factory` for a bare state_dict of a user's own network
    example_shape  (T, *input shape) to trace that network with
    input_layout   what that network's forward() takes, see `export`
    timesteps      T, for an `.onnx` file that does not say it
    trust_pickle   let a `.pt` run whatever code it holds: whole networks, old files. Only for
                   files that you trust; the bundle records it
    Raises InputError or UnsupportedError.
    """
    from ...qat.store import is_qat

    path = Path(path)
    digest = sha256_of(path)
    if trust_pickle and path.suffix not in (".pt", ".pth"):
        from ...formats.torch_file import trusted_pickle

        trusted_pickle.load(path)  # which says why not
    if is_qat(path):
        raise InputError(
            "SFX-E364",
            "holds a fine-tuned model, whose integers are fixed",
            where=str(path),
            hint="compile it with `sfx compile`, train it on with sfx.qat.load",
        )
    if path.suffix == ".nir":
        from ...formats.nir.file import read_model

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
    from ....frontends.checkpoints.load import load_network
    from ....frontends.tracing.export import traced

    found = load_network(path, model=model, example_shape=example_shape, trust_pickle=trust_pickle)
    own = model is not None or not hasattr(found.net, "example_input")
    exported = traced(
        found.net, found.example, name=path.stem, input_layout=input_layout if own else "TB"
    )
    return Source(
        exported.graph, path.stem, digest, found.samples, trust_pickle, found.weights, exported
    )


def load_for_samples(
    path: str | Path,
    shape: tuple[int, ...] | None,
    *,
    model: str | None,
    input_layout: str,
    timesteps: int | None,
    trust_pickle: bool,
) -> Source:
    """`load_model` for samples of this shape, [T, *input shape] or one image, which may be unknown.

    A network that shows one image at each of its own steps (input_layout "B") may be given images.
    """
    steps = timesteps if shape is None or timesteps is not None else shape[0]
    load = functools.partial(
        load_model,
        path,
        model=model,
        input_layout=input_layout,
        timesteps=steps,
        trust_pickle=trust_pickle,
    )
    try:
        return load(example_shape=shape)
    except InputError as error:
        if (
            input_layout != "B"
            or shape is None
            or error.problems[0].code not in ("SFX-E101", "SFX-E102")
        ):
            raise
        try:
            return load(example_shape=(1, *shape))
        except SfxError:
            raise error from None


def _read_onnx(path: Path, timesteps: int | None) -> nir.NIRGraph:
    from ....backends.onnx import parts

    parts.require("onnx")
    from ...formats.nir.bridge import from_graph
    from ...formats.onnx.read import read
    from ...ir.check import check_graph

    graph = read(path, timesteps=timesteps)
    check_graph(graph)
    return from_graph(graph)


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


def sha256_of(path: Path) -> str:
    """The hash of a file, in hexadecimal digits. Raises InputError (SFX-E600)."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E600", f"cannot be read: {reason}", where=str(path)) from error
