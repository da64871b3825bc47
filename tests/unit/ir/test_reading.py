"""How a file was read, with its origin; shapes and parameters as exporters write them."""

from __future__ import annotations

import io

import nir
import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.compiler.passes.fold_batch_norm import FoldBatchNorm
from sfx.toolchain.formats.nir.bridge import read, to_graph, write
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.formats.nir.reading import reading
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import run


def lif(n: int | None = 3, **changes: float) -> nir.LIF:
    fields = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changes
    shape = () if n is None else (n,)
    return nir.LIF(**{k: np.full(shape, v) for k, v in fields.items()})


def net(neuron: nir.NIRNode, ends: tuple[tuple[int, ...], ...] = ((2,), (3,))) -> nir.NIRGraph:
    weight = np.array([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]])
    nodes = {
        "input": nir.Input(np.array(ends[0])),
        "fc": nir.Linear(weight),
        "n": neuron,
        "output": nir.Output(np.array(ends[1])),
    }
    edges = [("input", "fc"), ("fc", "n"), ("n", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def said(graph: nir.NIRGraph, options: NirOptions | None = None) -> dict[str, tuple[str, str]]:
    return {f.what: (f.value, f.origin) for f in reading(graph, options).facts}


def test_every_fact_has_its_origin() -> None:
    assert said(net(lif(v_reset=-0.5))) == {
        "convention": ("nir", "default"),
        "dt": ("0.001 s", "default"),
        "reset": ("to -0.5", "file"),
    }
    assert said(net(lif()), NirOptions("snntorch:reset_delay=False", reset="zero")) == {
        "convention": ("snntorch", "option"),
        "reset_delay": ("false", "option"),
        "dt": ("0.0001 s", "convention"),
        "reset": ("zero", "option"),
    }
    graph = net(lif())
    graph.metadata = {"dt": 5e-4}
    graph.nodes["n"].metadata = {"reset_mode": "subtract"}
    assert said(graph)["dt"] == ("0.0005 s", "file")
    assert said(graph)["reset"] == ("subtract", "file")
    assert said(graph, NirOptions("sinabs", dt=1e-3))["dt"] == ("0.001 s", "option")
    assert said(net(lif()), NirOptions("sinabs"))["norm_input"] == ("true", "convention")


@pytest.mark.parametrize(
    ("neuron", "name"),
    [
        (lif(tau=1e-3, r=10.0), "snntorch"),
        (lif(tau=1e-5), "norse-1.1"),
        (lif(tau=20.0), "sinabs"),
        (lif(tau=2.0, r=0.5), "spyx"),
        (lif(tau=20e-3, r=20 * np.exp(-1 / 20)), "rockpool"),
        (nir.IF(np.ones(3), np.ones(3)), "norse"),
        (nir.IF(np.full(3, 1e4), np.ones(3)), "spikingjelly"),
    ],
)
def test_numbers_of_another_exporter_are_warned_of(neuron: nir.NIRNode, name: str) -> None:
    (warning,) = reading(net(neuron)).warnings
    assert f"--nir-convention {name}" in warning
    assert not reading(net(neuron), NirOptions(name)).warnings


def test_constants_out_of_range_name_the_exporter_that_they_look_like() -> None:
    """snnTorch's beta 0.8 at its dt of 1e-4 s: shorter than a step of 1e-3 s."""
    graph = net(lif(tau=0.5e-3, r=5.0))
    with pytest.raises(SfxError, match=r"SFX-E214.*\n.*--nir-convention snntorch"):
        to_graph(graph, timesteps=4)
    assert to_graph(graph, timesteps=4, options=NirOptions("snntorch")).of_type(g.LIF)


def test_no_warning_where_the_numbers_say_nothing() -> None:
    assert not reading(net(lif())).warnings
    assert not reading(net(lif(tau=2.5e-3, r=7.0))).warnings


def test_inspect_and_the_manifest_say_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "net.nir"
    write(net(lif(tau=1e-3, r=10.0)), path)
    text = api.inspect(path)
    assert text.startswith("read with convention nir (default), dt 0.001 s (default)")
    assert "warning: its neurons have r = tau / 1e-4 s, as files of snntorch" in text
    bundle = api.compile(path, timesteps=4, nir_options=NirOptions("snntorch", reset="0.25"))
    known = bundle.manifest["nir"]
    assert (known["dt"], known["convention"], known["reset"]) == (1e-4, "snntorch", "0.25")
    assert {"what": "dt", "value": "0.0001 s", "origin": "convention"} in known["read"]
    assert not known["warnings"]


def test_one_number_stands_for_all_neurons() -> None:
    for neuron in (lif(None), lif(1)):
        graph = to_graph(net(neuron), timesteps=2)
        assert (graph["n"].op, graph["n"].shape) == (g.LIF(0.5, 1.0), (3,))
        buffer = io.BytesIO()
        write(net(neuron), buffer)  # nir itself cannot write a scalar
        assert to_graph(read(buffer), timesteps=2)["n"].op == g.LIF(0.5, 1.0)


def test_batch_and_time_axes_are_left_out_with_a_note() -> None:
    source = net(lif(), ((20, 100, 2), (1, 1, 3)))
    graph = to_graph(source, timesteps=2)
    assert (graph["input"].shape, graph["output"].shape) == ((2,), (3,))
    assert reading(source).notes == (
        "input: the axes (20, 100) of batch and time are left out",
        "output: the axes (1, 1) of batch and time are left out",
    )
    assert to_graph(net(lif(), ((1, 2), (3,))), timesteps=2)["input"].shape == (2,)
    with pytest.raises(SfxError, match="SFX-E205"):  # four tokens of two features?
        to_graph(net(lif(), ((4, 2), (3,))), timesteps=2)


def test_an_r_of_each_neuron_goes_into_the_weights() -> None:
    neuron = lif()
    neuron.r = np.array([1.0, 2.0, 0.5])
    graph = to_graph(net(neuron), timesteps=3)
    assert graph["n"].op == g.LIF(0.5, 1.0)
    folded = FoldBatchNorm().run(graph)
    (linear,) = folded.of_type(g.Linear)
    assert linear.op.weight.tolist() == [[1, 2], [1, 0], [1.5, 0.5]]  # type: ignore[attr-defined]
    x = np.array([[[1, 0], [0, 1], [1, 1]]])
    v, expected = np.zeros(3), []
    for row in x[0]:
        v = v + 0.5 * (neuron.r * (np.array([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]]) @ row) - v)
        expected.append((v > 1).astype(float))
        v = v * (1 - expected[-1])
    assert np.array(expected).any()
    np.testing.assert_array_equal(run(graph, x)["output"][0], expected)
    neuron.v_threshold = np.array([1.0, 2.0, 1.0])
    with pytest.raises(SfxError, match="SFX-E208"):
        to_graph(net(neuron), timesteps=3)


def test_a_grouped_convolution_within_a_subgraph_is_read() -> None:
    weight = np.arange(2 * 1 * 3 * 1, dtype=float).reshape(2, 1, 3, 1)
    conv = nir.Conv2d((4, 4), weight, 1, (1, 0), 1, 2, np.zeros(2))  # depthwise, 3 x 1
    ends = {"input": nir.Input(np.array([2, 4, 4])), "output": nir.Output(np.array([2, 4, 4]))}
    inner = nir.NIRGraph(
        ends | {"conv": conv}, [("input", "conv"), ("conv", "output")], type_check=False
    )
    flat = to_graph(inner, timesteps=1)
    outer = nir.NIRGraph(
        {
            "in": nir.Input(np.array([2, 4, 4])),
            "sub": inner,
            "out": nir.Output(np.array([2, 4, 4])),
        },
        [("in", "sub"), ("sub", "out")],
        type_check=False,
    )
    buffer = io.BytesIO()
    write(outer, buffer)
    x = np.random.default_rng(0).integers(0, 2, (1, 1, 2, 4, 4))
    nested = run(to_graph(read(buffer), timesteps=1), x)["out"]
    np.testing.assert_array_equal(nested, run(flat, x)["output"])
    assert nested.any()
