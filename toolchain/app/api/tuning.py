"""`sfx.qat.prepare`: whatever may be compiled from floats, as a torch model of the integers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data import Samples, calibration_of
from ...formats import table
from ...formats.table import MODELS, Holds
from ...ground.errors import InputError
from .beside import fitted
from .models import Integers, ReadOptions
from .renamed import renamed
from .sources import source_of

if TYPE_CHECKING:
    import nir
    import torch

    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions
    from ...qat.model import QatModel

UNTRAINED = tuple(h for h in MODELS if h is not Holds.TRAINED)


@renamed("takes", "input_layout")
def prepare(
    source: torch.nn.Module | nir.NIRGraph | str | Path,
    target: str = "loihi",
    *,
    calibrate: Samples | None = None,
    options: Options | None = None,
    net_input: str | None = None,
    model: str | None = None,
    input_layout: str = "TB",
    timesteps: int | None = None,
    nir_options: NirOptions | None = None,
    trust_pickle: bool = False,
    weights: str | None = None,
) -> QatModel:
    """A torch model whose forward pass is the integer Program of `source`, to be fine-tuned.

    source     a multi-step network in float, trained; a NIR graph of one; a model file; or a
               lava-dl `.net`, which holds integers already
    target     as for `sfx.compile`, and so are the names that are not listed here
    calibrate  events [K, T, *input shape], whole counts, that choose the scales (an array, tensor,
               lists, `sfx.Data` or a DATA file); default: the samples in the checkpoint. Training
               data, not test data.
    net_input  what samples of a `.net` hold
    options    bits of all weights or by layer, 2..8, and how the first rounding is searched

    Before any training the model computes exactly the Program that `sfx.compile` would give.
    Raises SfxError: what export, quantization and mapping refuse (so a model that does not fit
    fails before it is trained), SFX-E360 what has no torch rule, SFX-E362 no calibration samples,
    SFX-E364 a fine-tuned model, SFX-E611, E616 calibration samples that are not counts of events.
    """
    from ...formats.nir.bridge import to_graph
    from ...qat.prepare import from_graph, from_program

    given = None if calibrate is None else calibration_of(calibrate).x
    dt = None if nir_options is None else nir_options.dt
    integers = isinstance(source, str | Path) and table.named("netx").fits(Path(source))
    if integers and timesteps is None and given is not None:
        timesteps = int(given.shape[1])
    asked = ReadOptions(model, None, input_layout, timesteps, trust_pickle, net_input, weights, dt)
    if not isinstance(source, str | Path) and given is None:
        raise _without_samples(source, given)
    found = source_of(source, None if given is None else given.shape[1:], asked, UNTRAINED)
    if isinstance(found, Integers):
        return from_program(found.program, target)
    samples = found.calibration if given is None else given
    if samples is None or samples.ndim < 3:
        raise _without_samples(source, samples)
    if timesteps is None and "timesteps" not in found.graph.metadata:
        timesteps = int(samples.shape[1])
    graph = to_graph(found.graph, timesteps=timesteps, options=nir_options)
    events = fitted(samples, graph, "calibration samples").astype(np.int64)
    return from_graph(graph, events, target, options)


def _without_samples(source: Any, samples: NDArray[Any] | None) -> InputError:
    return InputError(
        "SFX-E362",
        "needs calibration samples to choose the scales"
        if samples is None
        else f"calibration samples have shape {samples.shape}",
        where=str(source) if isinstance(source, str | Path) else type(source).__name__,
        hint="give calibrate=x[:64], training samples [K, T, *input shape]",
    )
