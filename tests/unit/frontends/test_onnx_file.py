"""ONNX models in and out: the graph comes back, and ONNX's own evaluator computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.reference.op_run import OpRun  # noqa: E402
from tests.unit.ir.graphs import attention, chain, node, same  # noqa: E402

from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.formats.onnx.read import read  # noqa: E402
from sfx.toolchain.formats.onnx.write import to_onnx  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError, UnsupportedError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

RNG = np.random.default_rng(0)


class LIF(OpRun):
    """The operator's equation (names.EQUATIONS), written again for ONNX's evaluator."""

    op_domain = "ai.sfx"

    def _run(self, x, decay, th, gain, leak, reset, syn, w_in, start, drop, unit, subtract=0):
        i, v, out = np.zeros_like(x[0]), np.full_like(x[0], start), []
        for step in x:
            i = i + syn * (w_in * step - i)
            v = v + decay * ((leak - v) + gain * i)
            fired = v > th
            v = np.where(fired, v - (drop or th) if subtract else reset, v)
            out.append(fired.astype(x.dtype))
        return (np.stack(out),)


class Integrator(OpRun):
    op_domain = "ai.sfx"

    def _run(self, x, gain):
        return (gain * np.cumsum(x, 0),)


class SumPool(OpRun):
    op_domain = "ai.sfx"

    def _run(self, x, kernel_shape=None, strides=None, pads=None):
        p = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
        view = np.lib.stride_tricks.sliding_window_view(p, tuple(kernel_shape), (2, 3))
        return (view[:, :, :: strides[0], :: strides[1]].sum((-2, -1)),)


def convolutional() -> g.Graph:
    wide = g.Conv2d(RNG.normal(size=(4, 1, 3, 3)), RNG.normal(size=4), (1, 1), (1, 1), groups=2)
    norm = [RNG.uniform(0.5, 1.5, 4) for _ in range(4)]
    nodes = [
        node("input", g.Input(3), (2, 6, 6)),
        node("conv", wide, (4, 6, 6), "input", module="stem.conv"),
        node("bn", g.BatchNorm(*norm, 1e-5), (4, 6, 6), "conv"),
        node("lif", g.LIF(0.5, np.nextafter(0.5, 0), 2.0, syn=0.25, w_in=4.0), (4, 6, 6), "bn"),
        node("pool", g.MaxPool2d((2, 2), (2, 2)), (4, 3, 3), "lif"),
        node("mean", g.SumPool2d((3, 3), (1, 1), (1, 1)), (4, 3, 3), "pool"),
        node("other", g.BatchNorm(*(n[:3] for n in norm), 1e-3, 1), (4, 3, 3), "mean"),
        node("two", g.LIF(0.25, 1.0, subtract=True, drop=1.5), (4, 3, 3), ("other", "pool")),
        node("flat", g.Reshape(), (36,), "two"),
        node("head", g.Linear(RNG.normal(size=(3, 36)), RNG.normal(size=3)), (3,), "flat"),
        node("output", g.Output("sum"), (3,), "head"),
    ]
    return g.Graph(tuple(nodes), 5, 2e-3, "net")


def stateful() -> g.Graph:
    return chain(
        ("input", g.Input(), (4,)), ("if", g.IF(0.5, 1.5, -0.25), (4,)),
        ("total", g.TimeSum(), (4,)), ("step", g.Threshold(2.5), (4,)), reduce="none",
    )  # fmt: skip


def grouped() -> g.Graph:
    return chain(
        ("input", g.Input(), (4,)), ("if", g.IF(0.5, 1.5, -0.25), (4,)),
        ("total", g.TimeSum(2), (4,)), ("step", g.Threshold(2.5), (4,)), reduce="none", timesteps=6,
    )  # fmt: skip


GRAPHS: dict[str, Callable[[], g.Graph]] = {
    "convolutional": convolutional, "attention": attention, "stateful": stateful,
    "grouped": grouped,
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_the_graph_comes_back(tmp_path: Path, name: str) -> None:
    graph = GRAPHS[name]()
    model = to_onnx(graph)
    onnx.checker.check_model(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    back = read(path)
    assert (back.timesteps, back.dt, back.name) == (graph.timesteps, graph.dt, graph.name)
    if name == "convolutional":  # a norm of another axis comes back between two permutations
        x = RNG.integers(0, 3, (2, 5, 2, 6, 6)).astype(float)
        ours, theirs = evaluate.run(graph, x), evaluate.run(back, x)
        for layer in ("lif", "two", "head"):
            np.testing.assert_array_equal(ours[layer], theirs[layer])
        assert {n.name for n in graph} - {n.name for n in back} == set()
        assert back["conv"].module == "stem.conv"
        assert back["bn"].op.eps == 1e-5
    else:
        same(graph, back)


@pytest.mark.parametrize("name", ["convolutional", "attention"])
def test_onnx_computes_the_same(name: str) -> None:
    graph = GRAPHS[name]()
    runner = ReferenceEvaluator(to_onnx(graph), new_ops=[LIF, Integrator, SumPool])
    x = RNG.integers(0, 3, (1, graph.timesteps, *graph["input"].shape)).astype(float)
    mine = evaluate.run(graph, x)
    want = evaluate.readout(graph, mine["output"])[0]
    neuron = "two" if name == "convolutional" else "attn_lif"
    assert 0.02 < mine[neuron].mean() < 0.98
    (got,) = runner.run(None, {"input": x[0]})
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.needs_torch
def test_a_torch_model_compiles_from_onnx_as_directly(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("norse")
    from tests.unit.frontends.models import ConvNet, Transformer, enliven, events

    from sfx.toolchain.formats.nir.bridge import to_graph

    for model, x in ((ConvNet(), events(5, 2, 2, 8, 8)), (Transformer(), events(5, 2, 6, 4))):
        torch.manual_seed(0)
        enliven(model, x)
        direct = to_graph(api.export(model, x[:, :1], name="m", onnx=tmp_path / "m.onnx"))
        back = to_graph(api.load_model(tmp_path / "m.onnx").graph)
        samples = x.numpy().swapaxes(0, 1)
        ours, theirs = evaluate.run(direct, samples), evaluate.run(back, samples)
        neurons = [n.name for n in direct.of_type(g.LIF)]
        assert neurons == [n.name for n in back.of_type(g.LIF)]
        assert [direct[n].module for n in neurons] == [back[n].module for n in neurons]
        for n in neurons:
            assert ours[n].mean() > 0
            np.testing.assert_array_equal(ours[n], theirs[n])
        np.testing.assert_array_equal(ours["output"], theirs["output"])


def foreign(*nodes: onnx.NodeProto, weights: dict[str, np.ndarray] | None = None) -> bytes:
    """A model [T, 4] -> [T, 4] as another tool would write it."""
    f32 = onnx.TensorProto.FLOAT
    tensors = [numpy_helper.from_array(v, k) for k, v in (weights or {}).items()]
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", f32, ["T", 4])],
        [helper.make_tensor_value_info("y", f32, ["T", 4])], tensors,
    )  # fmt: skip
    return helper.make_model(graph).SerializeToString()


def test_every_operator_that_is_not_mapped_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(foreign(
        helper.make_node("Gelu", ["x"], ["a"], "act"),
        helper.make_node("MatMul", ["x", "w"], ["b"], "fc"),
        helper.make_node("Softmax", ["b"], ["c"], "attn/Softmax"),
        helper.make_node("LayerNormalization", ["b", "s"], ["d"], "norm"),
        helper.make_node("LIF", ["b"], ["e"], "lif", domain="other"),
        helper.make_node("Add", ["b", "b"], ["y"], "twice"),
        weights={"w": np.eye(4, dtype=np.float32), "s": np.ones(4, np.float32)},
    ))  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        read(path, timesteps=3)
    places = [p.where for p in caught.value.problems]
    assert places == ["act", "attn/Softmax", "norm", "lif", "twice"]
    text = str(caught.value)
    for part in (
        "SFX-E172",
        "use BatchNormalization",
        "attention over spikes needs none",
        "other::LIF",
    ):
        assert part in text, part


def test_the_hint_lists_onnx_operators(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(foreign(
        helper.make_node("Erf", ["x"], ["a"], "erf"),
        helper.make_node("Sub", ["x", "x"], ["y"], "sub"),
    ))  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        read(path, timesteps=3)
    erf, sub = (p.hint for p in caught.value.problems)
    for part in ("Conv, Gemm", "ReduceMean", "ai.sfx.LIF"):
        assert part in erf
    assert "conv2d" not in erf
    assert sub == "use Mul by -1 and Add"


def external() -> bytes:
    model = onnx.load_model_from_string(foreign(
        helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.eye(4, dtype=np.float32)}
    ))  # fmt: skip
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model.SerializeToString()


def huge() -> bytes:
    model = onnx.load_model_from_string(external())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.DEFAULT
    tensor.ClearField("external_data")
    tensor.dims[:] = [1 << 20, 1 << 20]
    return model.SerializeToString()


def short() -> bytes:
    model = onnx.load_model_from_string(huge())
    model.graph.initializer[0].dims[:] = [4, 4]
    model.graph.initializer[0].raw_data = b"123"
    return model.SerializeToString()


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"no model at all", "not an ONNX model"),
    "nothing": (lambda: b"", "empty one"),
    "external": (external, "outside the file"),
    "huge": (huge, "has shape"),
    "short": (short, "cannot be read"),
    "no steps": (lambda: foreign(helper.make_node("Identity", ["x"], ["y"])), "--timesteps"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    make, text = BROKEN[kind]
    path = tmp_path / "broken.onnx"
    path.write_bytes(make())
    with pytest.raises(InputError, match=text) as caught:
        read(path)
    assert caught.value.code == "SFX-E171"


def test_cut_files_end_in_a_refusal(tmp_path: Path) -> None:
    content = to_onnx(convolutional()).SerializeToString()
    path = tmp_path / "cut.onnx"
    for i in range(60):
        part = bytearray(content[: len(content) * (i + 1) // 61])
        part[RNG.integers(len(part))] ^= 1 << RNG.integers(8)
        path.write_bytes(bytes(part))
        with pytest.raises(SfxError):
            api.load_model(path)


def test_recurrent_models_are_refused() -> None:
    nodes = (
        node("input", g.Input(), (3,)),
        node("lif", g.LIF(0.5, 1.0), (3,), ("input", "back")),
        node("back", g.Linear(np.eye(3), np.zeros(3)), (3,), "lif"),
        node("output", g.Output("sum"), (3,), "lif"),
    )
    with pytest.raises(UnsupportedError, match="SFX-E170 lif: a recurrent connection from back"):
        to_onnx(g.Graph(nodes, 3))
