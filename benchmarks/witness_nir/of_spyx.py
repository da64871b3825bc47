"""spyx's neurons: exported by its to_nir, run by spyx."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import jax.numpy as jnp
import numpy as np
import spyx.nn as snn
from common import HIDDEN, IN, OUT, Made, Row, events, record, weights
from flax import nnx
from spyx.nir import to_nir


def net(kind: str, scale: float, beta: float | None = 0.5, **options: Any) -> Made:
    rngs = nnx.Rngs(0)
    layers: list[Any] = []
    last = kind.removeprefix("R")
    for w, size, cell in zip(weights(scale), (HIDDEN, OUT), (kind, last), strict=True):
        linear = nnx.Linear(w.shape[1], size, use_bias=False, rngs=rngs)
        linear.kernel[...] = jnp.array(w.T)
        named = dict(options)
        if "IF" in cell and cell not in ("IF", "RIF"):
            named["beta"] = beta
        if "CuBa" in cell:
            named["alpha"] = 0.5
        made = getattr(snn, cell)((size,), rngs=rngs, **named)
        if cell.startswith("R"):
            loop = np.random.default_rng(2).integers(-2, 2, (size, size)) * 0.25
            made.recurrent_w[...] = jnp.array(loop, dtype=jnp.float32)
        layers += [linear, made]
    model = snn.Sequential(*layers)
    x = jnp.array(events().transpose(1, 0, 2), dtype=jnp.float32)
    spikes, _ = snn.run(model, x)
    graph = to_nir(model, {"input": np.array([IN])}, {"output": np.array([OUT])}, dt=1)
    return graph, np.asarray(spikes).transpose(1, 0, 2)


def row(name: str, neuron: str, option: str) -> Row:
    return Row(f"spyx_{name}", neuron, option, "spyx")


record(
    {"spyx": version("spyx"), "nir": version("nir")},
    [
        (row("if", "IF", "defaults"), lambda: net("IF", 0.25)),
        (row("lif", "LIF", "beta 0.5"), lambda: net("LIF", 0.5)),
        (row("lif_0.9", "LIF", "beta 0.9"), lambda: net("LIF", 0.5, 0.9)),
        (row("lif_own", "LIF", "beta drawn per neuron (default)"), lambda: net("LIF", 0.5, None)),
        (row("cuba", "CuBaLIF", "alpha 0.5, beta 0.5"), lambda: net("CuBaLIF", 0.25)),
        (row("rif", "RIF", "defaults"), lambda: net("RIF", 0.25)),
        (row("rlif", "RLIF", "beta 0.5"), lambda: net("RLIF", 0.5)),
        (row("rcuba", "RCuBaLIF", "alpha 0.5, beta 0.5"), lambda: net("RCuBaLIF", 0.25)),
        (row("psu", "PSU_LIF", "beta 0.5"), lambda: net("PSU_LIF", 0.5)),
    ],
)
