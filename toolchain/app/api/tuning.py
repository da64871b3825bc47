"""`sfx.qat.prepare`: whatever may be compiled from floats, as a torch model of the integers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data import Samples, calibration_of
from ...formats import table
from ...formats.fine_tuned import USUAL
from ...formats.table import MODELS, Holds
from ...ground.errors import InputError
from ...ground.memory import require
from ...ir.graph import Graph
from ...ir.memory_use import of_compile
from .beside import calibration, fitted, imported, witnessed
from .files import integers_are_fixed
from .models import Integers, ReadOptions
from .renamed import renamed
from .sources import source_of

if TYPE_CHECKING:
    import nir
    import torch

    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions
    from ...qat.heads import Supervised
    from ...qat.model import QatModel

UNTRAINED = tuple(h for h in MODELS if h is not Holds.TRAINED)


@renamed("takes", "input_layout")
def prepare(
    source: torch.nn.Module | nir.NIRGraph | str | Path,
    target: str | torch.Tensor = "loihi",
    *,
    example: torch.Tensor | None = None,
    calibrate: Samples | None = None,
    options: Options | None = None,
    net_input: str | None = None,
    model: str | None = None,
    input_layout: str = "TB",
    timesteps: int | None = None,
    nir_options: NirOptions | None = None,
    trust_pickle: bool = False,
    weights: str | None = None,
    memory: int | None = None,
    check: bool = True,
    check_samples: int = 1,
    train_zeros: bool = False,
    train: Sequence[str] = USUAL,
) -> QatModel:
    """A torch model whose forward pass is the integer Program of `source`, to be fine-tuned.

    source     a multi-step network in float, trained; a NIR graph of one; a model file; or a
               lava-dl `.net`, which holds integers already
    target     as for `sfx.compile`, and so are the names that are not listed here; `example` may
               stand in its place
    calibrate  events [K, T, *input shape], whole counts, that choose the scales (an array, tensor,
               lists, `sfx.Data` or a DATA file); default: the samples in the checkpoint. Training
               data, not test data.
    net_input  what samples of a `.net` hold
    options    bits of all weights or by layer, 2..8, and how the first rounding is searched

    train_zeros  a weight of 0 is a synapse that is not there (pruned, or one to one) and is not
               trained, unless this says so
    train        of the weights, biases, thresholds, leaks and scales those that are trained

    Before any training the model computes exactly the Program that `sfx.compile` would give.
    Raises SfxError: what export, quantization and mapping refuse (so a model that does not fit
    fails before it is trained), SFX-E180 to E185 where the graph is not the torch model, SFX-E605
    where `memory` is too little, SFX-E360 what has no torch rule, SFX-E362 no calibration samples,
    SFX-E364 a fine-tuned model, SFX-E371 what cannot be trained, SFX-E611, E616 calibration samples
    that are not counts of events.
    """
    from ...qat.prepare import from_graph, from_program

    if not isinstance(target, str):
        example, target = target, "loihi"
    given = None if calibrate is None else calibration_of(calibrate).x
    dt = None if nir_options is None else nir_options.dt
    integers = isinstance(source, str | Path) and table.named("netx").fits(Path(source))
    if integers and timesteps is None and given is not None:
        timesteps = int(given.shape[1])
    asked = ReadOptions(
        model, None, input_layout, timesteps, trust_pickle, net_input, weights, dt, example
    )
    if not isinstance(source, str | Path) and given is None:
        raise _without_samples(source, given)
    read = source_of(source, None if given is None else given.shape[1:], asked, UNTRAINED)
    if isinstance(read, Integers):
        if "qat" in read.facts:  # a NIR graph of them: from its file alone, training has no state
            raise integers_are_fixed(str(source) if isinstance(source, str | Path) else "the graph")
        return from_program(read.program, target, train_zeros=train_zeros, train=train)
    samples, origin = calibration(read, given)
    if samples is None or samples.ndim < 3:
        raise _without_samples(source, samples)
    graph = imported(read, samples, timesteps, nir_options)
    events = fitted(samples, graph, "calibration samples").astype(np.int64)
    found = witnessed(read, graph, events, origin, check_samples if check else 0)

    def lowered(form: Graph) -> None:
        require(of_compile(form, len(events)), "quantizing it", allowed=memory)
        _warn_of_numbers(form, options)
        if found is not None:
            found.beside(form)

    return from_graph(graph, events, target, options, lowered, train_zeros=train_zeros, train=train)


def with_heads(model: QatModel, source: torch.nn.Module | str | Path) -> Supervised:
    """A prepared model beside the classifiers that its source has on earlier blocks.

    source  the network of the zoo, or its checkpoint, that `model` was prepared from; copies of its
            classifiers are trained, in float

    In training it gives the logits of every block, the deployed one's last (deep supervision). Of a
    network of one's own: `Supervised(model, [Head(module, names), ...])`.
    Raises InputError: SFX-E369 if it has one classifier only, SFX-E368 if `model` is of another
    network, what reading a checkpoint raises.
    """
    from ....frontends.checkpoints.load import load_torch
    from ....frontends.zoo.public_model import FrameModel
    from ...qat.heads import Head, Supervised

    net = load_torch(Path(source))[0] if isinstance(source, str | Path) else source
    heads = net.earlier_heads() if isinstance(net, FrameModel) else ()
    if not heads:
        raise InputError(
            "SFX-E369",
            "has no classifier besides the one that is deployed",
            where=str(source) if isinstance(source, str | Path) else type(source).__name__,
            hint="sfx.qat.Supervised(model, [sfx.qat.Head(module, names), ...]) adds one's own",
        )
    return Supervised(model, [Head(read, names) for read, names in heads])


def _warn_of_numbers(form: Graph, options: Options | None) -> None:
    """A Python warning where slots were asked for and integer neurons send numbers."""
    from ...compiler.passes.integer_slots import left_graded
    from ...report.graded import graded_lines

    left = () if options is None else left_graded(form, options.integer_spikes)
    if left:
        warnings.warn("; ".join(graded_lines(left)), stacklevel=2)


def _without_samples(source: Any, samples: NDArray[Any] | None) -> InputError:
    return InputError(
        "SFX-E362",
        "needs calibration samples to choose the scales"
        if samples is None
        else f"calibration samples have shape {samples.shape}",
        where=str(source) if isinstance(source, str | Path) else type(source).__name__,
        hint="give calibrate=x[:64], training samples [K, T, *input shape]",
    )
