"""What choices of bits cost a model, on labelled samples."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...data import Samples, calibration_of, classes_fit, samples_of
from ...ground.errors import InputError
from ...ground.memory import require
from ...ir import graph as g
from ...ir.memory_use import of_compile
from .beside import calibration, fitted, imported, witnessed
from .models import ReadOptions
from .renamed import renamed
from .sources import float_source

if TYPE_CHECKING:
    import nir
    import torch

    from ...compiler.precision.judge import Judge
    from ...compiler.quantize.options import Options
    from ...formats.nir.conventions import NirOptions


@renamed("takes", "input_layout")
def judge(
    source: str | Path | nir.NIRGraph | torch.nn.Module,
    data: Samples,
    target: str = "loihi",
    *,
    calibrate: Samples | None = None,
    model: str | None = None,
    options: Options | None = None,
    nir_options: NirOptions | None = None,
    input_layout: str = "TB",
    timesteps: int | None = None,
    trust_pickle: bool = False,
    weights: str | None = None,
    memory: int | None = None,
    check: bool = True,
    check_samples: int = 1,
) -> Judge:
    """Scores choices of bits for a model on the labelled samples of `data`.

    source: a float model, as a file, a torch module or a NIR graph; the other names mean what they
    mean in `compile`. A file that does not say T takes that of `data`.
    options: as of `compile`; what is judged are other bits of single layers.
    Raises InputError: SFX-E622 without labels or calibration samples,
    SFX-E617 for labels that are no class of the model, SFX-E180 to E185 and E605 as `compile`.
    """
    from ....backends.fast.backend import FastBackend
    from ...compiler.compile import neuron_form
    from ...compiler.precision.judge import Judge
    from ...compiler.quantize.options import Options
    from ...targets import load as load_target

    data = samples_of(data)
    dt = None if nir_options is None else nir_options.dt
    asked = ReadOptions(model, None, input_layout, timesteps, trust_pickle, weights=weights, dt=dt)
    read = float_source(source, tuple(data.x.shape[1:]), asked)
    given = None if calibrate is None else calibration_of(calibrate).x
    samples, origin = calibration(read, given)
    if data.y is None or samples is None:
        what = "labels y" if data.y is None else "calibration samples: give --calibrate"
        raise InputError("SFX-E622", f"judging accuracy needs {what}", where=read.name)
    whole = imported(read, data.x, timesteps, nir_options)
    classes_fit(data.y, math.prod(whole.of_type(g.Output)[0].shape))
    samples = fitted(samples, whole, "calibration samples")
    x = fitted(data.x, whole, "samples")
    widest = max((samples, x), key=lambda given: int(given.max())).astype(np.int64)
    found = witnessed(read, whole, samples, origin, check_samples if check else 0)
    fast, chosen = FastBackend(), load_target(target)
    graph = neuron_form(whole, chosen, widest, options)
    require(of_compile(graph, len(samples)), "quantizing it", allowed=memory)
    return Judge(
        graph,
        samples.astype(np.int64),
        x.astype(np.int64),
        data.y,
        lambda program, x: fast.run(program, x).sums,
        chosen.limits.max_delay,
        chosen.arithmetic,
        options or Options(),
        witness=None if found is None else found.beside(graph).result.as_dict(),
    )
