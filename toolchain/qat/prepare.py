"""From a float model to a `QatModel`: export, lower, quantize once, train from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..compiler.quantize.options import Options
from ..compiler.quantize.quantize import Quantized, quantize
from ..data import Samples, calibration_of
from ..formats import table
from ..ground.errors import InputError
from ..ir import graph as g
from ..ir.find_facts import with_facts
from ..ir.program import Program
from .model import QatModel, Template


def prepare(
    model: nn.Module | str | Path,
    target: str = "loihi",
    *,
    calibrate: Samples | None = None,
    options: Options | None = None,
    net_input: str | None = None,
) -> QatModel:
    """A torch model whose forward pass is the integer Program of `model`, to be fine-tuned.

    model      a multi-step network in float, trained; or a checkpoint (.pt, .safetensors), which
               names its architecture; or a lava-dl `.net`, which holds integers already
    target     as for `sfx.compile`
    calibrate  events [K, T, *input shape], whole counts, that choose the scales (an array, tensor,
               lists, `sfx.Data` or a DATA file); default: the samples in the checkpoint. Training
               data, not test data.
    net_input  what samples of a `.net` hold, as for `sfx.compile`
    options    bits of all weights or by layer, 2..8, and how the first rounding is searched

    Before any training the model computes exactly the Program that `sfx.compile` would give.
    Raises SfxError: what export, quantization and mapping refuse (so a model that does not fit
    fails before it is trained), SFX-E360 what has no torch rule, SFX-E362 no calibration samples,
    SFX-E611, E616 calibration samples that are not counts of events.
    """
    from ..compiler.compile import compile_program, entering, lower
    from ..formats.nir.bridge import to_graph
    from ..targets import load as load_target

    chosen = load_target(target)
    given = None if calibrate is None else calibration_of(calibrate).x
    if not isinstance(model, nn.Module) and table.named("netx").fits(Path(model)):
        return from_program(_netx(Path(model), given, net_input), target)
    net, samples = _network(model, given)
    imported, events = to_graph(net), samples.astype(np.int64)
    graph = lower(imported, entering(imported, events, options))
    quantized = quantize(graph, events, options=options, arithmetic=chosen.arithmetic)
    compile_program(quantized.program, chosen)
    return QatModel(template(quantized, graph, target))


def template(quantized: Quantized, graph: g.Graph, target: str) -> Template:
    """What the quantizer decided and training keeps."""
    program = quantized.program
    bits = {r.population: r.weight_bits for r in quantized.records}
    (output,) = graph.of_type(g.Output)
    assert isinstance(output.op, g.Output)
    return Template(program, bits, target, output.op.reduce)


def from_program(program: Program, target: str = "loihi") -> QatModel:
    """The same for a Program that is there already; its output is the read-out (summed over T).

    Raises SfxError if it is not legal or does not fit `target`; UnsupportedError (SFX-E360).
    """
    from ..compiler.compile import compile_program
    from ..targets import load as load_target
    from ..targets.widths import for_target

    chosen = load_target(target)
    compile_program(program, chosen)
    program = for_target(program, chosen)
    return QatModel(Template(with_facts(program), {}, target, "sum"))


def _netx(path: Path, calibrate: NDArray[Any] | None, net_input: str | None) -> Program:
    """A lava-dl network; samples only say how many steps one takes."""
    from ..formats.netx.read import read

    return read(
        path, timesteps=None if calibrate is None else int(calibrate.shape[1]), data=net_input
    )


def _network(
    model: nn.Module | str | Path, samples: NDArray[Any] | None
) -> tuple[Any, NDArray[Any]]:
    """The NIR graph and the calibration samples."""
    from ...frontends.tracing.export import export

    example = None
    if not isinstance(model, nn.Module):
        from ...frontends.checkpoints.load import load_torch

        model, example, own = load_torch(Path(model))
        samples = own if samples is None else samples
    if samples is None or samples.ndim < 3:
        raise InputError(
            "SFX-E362",
            "needs calibration samples to choose the scales"
            if samples is None
            else f"calibration samples have shape {samples.shape}",
            where=type(model).__name__,
            hint="give calibrate=x[:64], training samples [K, T, *input shape]",
        )
    if example is None:
        example = torch.zeros(samples.shape[1], 1, *samples.shape[2:])
    return export(model, example), samples
