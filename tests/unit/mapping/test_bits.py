"""Fewer bits take fewer cores, from the option that a user gives to the map."""

from __future__ import annotations

import nir
import numpy as np

from sfx.toolchain.app import api
from sfx.toolchain.compiler.quantize.options import Options

STEPS, INPUTS, HIDDEN = 4, 600, 700


def mlp() -> nir.NIRGraph:
    weight = np.random.default_rng(0).normal(0, 0.1, (HIDDEN, INPUTS))
    ones = np.ones(HIDDEN)
    nodes = {
        "input": nir.Input({"input": np.array([INPUTS])}),
        "fc": nir.Affine(weight, np.zeros(HIDDEN)),
        "lif": nir.LIF(0.002 * ones, 20 * ones, 0 * ones, 0.3 * ones, 0 * ones),
        "output": nir.Output({"output": np.array([HIDDEN])}),
    }
    return nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")])


def test_bits_show_in_cores() -> None:
    x = (np.random.default_rng(1).random((4, STEPS, INPUTS)) < 0.2).astype(np.uint8)
    cores = []
    for bits in (8, 4):
        options = Options(bits=bits, effort=0.1)
        bundle = api.compile(
            mlp(), calibrate=x, options=options, objective="cores", timesteps=STEPS
        )
        assert api.run(bundle, x).counts.events["lif"].any()
        cores.append(bundle.manifest["statistics"]["cores"])
    assert cores[1] < cores[0]
