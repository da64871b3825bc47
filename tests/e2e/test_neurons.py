"""General neurons and the shared NIR files, through Lava: every spike, u and v."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import compile_program, lower
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.data import Data
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import load
from tests.conftest import DATA
from tests.neurons import KINDS, events, side_by_side

BRAILLE = DATA / "nir" / "braille"
FILES = {
    "braille_noDelay_bias_zero.nir": NirOptions("snntorch:reset_delay=false", reset="zero"),
    "braille_noDelay_noBias_subtract.nir": NirOptions(dt=1e-4, reset="subtract"),
}


def placed(kinds: tuple[str, ...], x_samples: int = 3) -> tuple[Program, np.ndarray]:
    graph = side_by_side({k: KINDS[k] for k in kinds}, recurrent=True, dyadic=False)
    x = events(graph, x_samples)
    return compile_program(quantize(lower(graph), x).program, load("loihi")).program, x


@pytest.mark.needs_lava
def test_loops_resets_and_currents_equal_lava() -> None:
    program, x = placed(("reset_below", "cuba_reset", "subtract_start", "cuba_subtract"))
    record = api.stream(program, x, "reference")
    silent = [n for n, s in record.spikes.items() if not s.any()]
    assert not silent, f"silent populations: {silent}"
    verdict = api.verify(program, x, against="lava", states=True)
    assert verdict.equal
    assert verdict.compared > 4000
    # the comparison can fail: one weight of a loop
    name = "cuba_subtract.cell.feedback->cuba_subtract.cell.membrane"
    changed = tuple(
        replace(j, weight_exp=j.weight_exp + 1) if j.name == name else j
        for j in program.projections
    )
    assert name in {j.name for j in program.projections}
    witness = replace(program, projections=changed)
    assert not api.verify(program, x, against="onnx", witness=witness).equal


def plain(path: str, x: np.ndarray, *, subtract: bool) -> dict[str, np.ndarray]:
    """snnTorch's RSynaptic and Synaptic over x [T, 12], from the file's arrays, reset at once.

    syn <- alpha syn + W x + R s[t-1];  mem <- beta mem + syn;  s = mem > 1;  mem <- 0 or mem - 1
    """
    import nir

    nodes, dt = nir.read(path, type_check=False).nodes, 1e-4
    spikes = {}
    feed = x
    for layer, fc, loop in (("lif1.lif", "fc1", "lif1.w_rec"), ("lif2", "fc2", None)):
        n = nodes[layer]
        alpha, beta = 1 - dt / n.tau_syn, 1 - dt / n.tau_mem
        scale = n.w_in * (1 - alpha) * n.r * (1 - beta)
        rec = nodes[loop] if loop else None
        size = len(n.v_threshold)
        syn = mem = s = np.zeros(size)
        out = []
        for step in feed:
            current = nodes[fc].weight @ step + getattr(nodes[fc], "bias", 0.0)
            if rec is not None:
                current = current + rec.weight @ s + getattr(rec, "bias", 0.0)
            syn = alpha * syn + scale * current
            mem = beta * mem + syn
            s = (mem > n.v_threshold).astype(float)
            mem = mem - s * n.v_threshold if subtract else mem * (1 - s)
            out.append(s)
        feed = spikes[layer] = np.array(out)
    return spikes


@pytest.mark.needs_data
@pytest.mark.parametrize("name", FILES)
def test_the_braille_nets_run_recurrently(name: str) -> None:
    from sfx.toolchain.formats.nir.bridge import read, to_graph
    from sfx.toolchain.ir.evaluate import run

    options, steps = FILES[name], 60
    x = (np.random.default_rng(0).random((6, steps, 12)) < 0.2).astype(np.int64)
    x[:, :, 6:] = 0  # the other sensors inhibit the first layer
    graph = to_graph(read(BRAILLE / name), timesteps=steps, options=options)
    floats = run(graph, x)
    for k, sample in enumerate(x):
        expected = plain(str(BRAILLE / name), sample, subtract=options.reset == "subtract")
        for layer, spikes in expected.items():
            np.testing.assert_array_equal(floats[layer][k], spikes)
    bundle = api.compile(BRAILLE / name, calibrate=Data(x, None), nir_options=options)
    assert bundle.manifest["nir"]["dt"] == 1e-4
    assert bundle.manifest["nir"]["convention"] == (options.convention or "nir")
    record = api.stream(bundle.program, x, "reference")
    for layer in ("lif1.lif", "lif2"):
        start = bundle.program[layer].phase
        got = record.spikes[layer][start : start + x.shape[0] * steps].reshape(6, steps, -1)
        assert got.any()
        assert floats[layer].any()
        if layer == "lif1.lif":
            assert np.mean(got == floats[layer]) > 0.99
    # a spike that comes a step late shifts all later ones of a reset neuron: compare their numbers
    counts, expected = got.sum(1), floats["lif2"].sum(1)
    assert np.abs(counts - expected).max() <= 4
    np.testing.assert_array_equal(counts.argmax(1), expected.argmax(1))


@pytest.mark.needs_data
@pytest.mark.needs_lava
@pytest.mark.parametrize("name", FILES)
def test_the_braille_nets_equal_lava(name: str) -> None:
    x = (np.random.default_rng(1).random((2, 30, 12)) < 0.3).astype(np.int64)
    bundle = api.compile(BRAILLE / name, calibrate=Data(x, None), nir_options=FILES[name])
    verdict = api.verify(bundle, x, against="lava", states=True)
    assert verdict.equal
    assert verdict.compared > 5000
