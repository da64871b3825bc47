"""The exported graph computes what the model computes: equal spikes at every neuron."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")
import nir  # noqa: E402
from norse.torch import LIFAdExCell, LIFBoxCell, LIFBoxParameters, LIFRecurrentCell  # noqa: E402
from norse.torch.functional.reset import reset_subtract  # noqa: E402
from tests.unit.frontends.models import (  # noqa: E402
    STEPS,
    ConvNet,
    Function,
    Transformer,
    compare,
    enliven,
    events,
    record,
)
from tests.unit.ir.graphs import same  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch._subclasses import FakeTensorMode  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.neurons.ge_lif import GreaterEqualLIF, ge_lif  # noqa: E402
from sfx.frontends.neurons.lif_op import lif_over_time  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep, lif  # noqa: E402
from sfx.frontends.neurons.spec import LifSpec  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.app.api.witnessing import remembered  # noqa: E402
from sfx.toolchain.formats.nir import bridge as nir_bridge  # noqa: E402
from sfx.toolchain.formats.nir import ext  # noqa: E402
from sfx.toolchain.formats.nir.file import read_model  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError, UnsupportedError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def graph_of(model: nn.Module, x: Tensor) -> g.Graph:
    return nir_bridge.to_graph(export(model, x[:, :1], name="test"))


# --- whole models ---------------------------------------------------------------------------


def test_conv_net():
    x = events(STEPS, 3, 2, 8, 8)
    model = enliven(ConvNet(), x)
    graph = graph_of(model, x)
    compare(model, graph, x)
    assert (graph.timesteps, graph.dt, graph.name) == (STEPS, 1e-3, "test")
    names = {n.name for n in graph}
    assert {"input", "conv1", "bn1", "lif1", "pool", "conv2", "lif2", "head", "output"} <= names
    assert graph["lif1"].module == "lif1"
    assert graph.of_type(g.Output)[0].op == g.Output("mean")


@pytest.mark.parametrize(("order", "causal"), [("kv", True), ("kv", False), ("qk", False)])
def test_transformer(order, causal):
    x = events(STEPS, 3, 6, 4)
    model = enliven(Transformer(order, causal), x)
    graph = graph_of(model, x)
    compare(model, graph, x)
    assert len(graph.of_type(g.Integrator)) == (2 if causal else 0)
    assert all(n.op == g.Integrator(1.0) for n in graph.of_type(g.Integrator))
    assert "attn.0.q.lif" in {n.module for n in graph.of_type(g.LIF)}


@pytest.mark.parametrize("head", ["mean_last", "mean_first", "sum_first", "sum_last", "none"])
def test_heads(head):
    """A bias after a sum over T counts once; before it, T times."""
    x = events(STEPS, 2, 6, 4, seed=3)
    model = enliven(Transformer(head=head), x)
    graph = graph_of(model, x)
    compare(model, graph, x)
    want = {"mean_last": "mean", "mean_first": "mean", "sum_last": "sum", "none": "none"}
    if head in want:
        assert graph.of_type(g.Output)[0].op == g.Output(want[head])


def test_the_file_on_disk_is_the_same_graph(tmp_path):
    x = events(STEPS, 3, 6, 4, seed=1)
    model = enliven(Transformer(), x)
    source = export(model, x[:, :1])
    nir_bridge.write(source, tmp_path / "m.nir")
    nir.read(tmp_path / "m.nir")  # NIR's own reader and type check take it
    graph = nir_bridge.to_graph(source)
    back = nir_bridge.to_graph(read_model(tmp_path / "m.nir"))
    same(graph, back)
    assert [n.name for n in graph] == [n.name for n in back]
    compare(model, back, x)
    nir_bridge.write(export(model, x[:, :1]), tmp_path / "again.nir")
    assert (tmp_path / "again.nir").read_bytes() == (tmp_path / "m.nir").read_bytes()


@pytest.mark.parametrize("attention", ["joint", "spatial"])
def test_the_projects_spikeformer(attention):
    config = SpikeformerConfig(
        attention=attention, image_size=16, dim=16, depth=2, timesteps=STEPS, attention_scale=0.25
    )
    x = events(STEPS, 3, 2, 16, 16, seed=2, high=3)
    model = enliven(Spikeformer(config), x)
    model.train()
    graph = graph_of(model, x)
    assert model.training
    model.eval()
    compare(model, graph, x)


@pytest.mark.parametrize("name", [n for n in zoo.NAMES if n != "spikeformer"])
def test_published_models(name):
    model = zoo.build(name, {})
    steps, _, *frame = model.input_shape
    x = events(steps, 2, *frame, seed=4, high=2)
    enliven(model, x).float()
    source = api.export(model, x[:, :1].float())
    found = remembered(source)
    assert found is not None
    assert (found.result.source, found.result.differ, found.result.silent) == ("the example", 0, ())
    assert found.result.spikes > 1000
    assert found.result.ties < 5  # float32 sums: a membrane may stand on the threshold


def undecomposed(module: nn.Module, args: tuple[Tensor, ...], strict: bool) -> SimpleNamespace:
    """What newer versions' torch.export gives: every op as the model calls it (batch_norm, linear).

    Made by make_fx before dispatch; it records no module paths, and constants are attributes.
    """
    traced = make_fx(lambda x: module(x), pre_dispatch=True, tracing_mode="fake")
    with FakeTensorMode(allow_non_fake_inputs=True):
        made = traced(*args)
    (end,) = [n for n in made.graph.nodes if n.op == "output"]
    end.args = ((end.args[0],),)
    spec = SimpleNamespace(kind=SimpleNamespace(name="USER_INPUT"), target=None)
    out = SimpleNamespace(kind=SimpleNamespace(name="USER_OUTPUT"), target=None)
    signature = SimpleNamespace(input_specs=[spec], output_specs=[out])
    return SimpleNamespace(
        graph=made.graph, graph_module=made, graph_signature=signature, state_dict={}, constants={}
    )


def test_the_undecomposed_ops_of_newer_torch(monkeypatch):
    seen: set[str] = set()

    def trace(module, args, strict):
        program = undecomposed(module, args, strict)
        seen.update(str(n.target) for n in program.graph.nodes)
        return program

    monkeypatch.setattr(torch.export, "export", trace)
    for model, x in (
        (ConvNet(), events(STEPS, 2, 2, 8, 8)),
        (Transformer("qk", False), events(STEPS, 2, 6, 4)),
        (Transformer("kv", True), events(STEPS, 2, 6, 4)),
    ):
        enliven(model, x)
        graph = graph_of(model, x)
        spikes, output = record(model, x)
        got = evaluate.run(graph, x.numpy().swapaxes(0, 1))
        # no module paths in this trace: neurons are numbered as they were called
        for i, (path, want) in enumerate(spikes.items(), start=1):
            ours = got["lif" if i == 1 else f"lif_{i}"]
            assert 0.005 < want.mean() < 0.995
            np.testing.assert_array_equal(ours.reshape(want.shape), want, err_msg=path)
        assert i == len(graph.of_type(g.LIF))
        ours = evaluate.readout(graph, got["output"])
        np.testing.assert_allclose(ours, output, rtol=1e-12, atol=1e-12)
    ops = {"conv2d", "linear", "matmul", "batch_norm", "max_pool2d", "dropout"}
    assert {f"aten.{n}.default" for n in ops} <= seen
    assert {"aten.flatten.using_ints", "aten.unflatten.int"} <= seen


def test_one_time_step():
    x = events(1, 4, 2, 8, 8)
    model = ConvNet()
    model.lif1, model.lif2 = lif(1.2, 0.5), lif(1.2, 0.5)
    enliven(model, x)
    graph = graph_of(model, x)
    assert graph.timesteps == 1
    compare(model, graph, x)


def test_float32_models_keep_their_weights_to_the_bit():
    x = events(STEPS, 1, 2, 8, 8)
    model = enliven(ConvNet(), x).float()
    source = export(model, x.float())
    assert source.nodes["conv1"].weight.dtype == np.float32
    np.testing.assert_array_equal(source.nodes["conv1"].weight, model.conv1.weight.detach().numpy())
    graph = nir_bridge.to_graph(source)
    # Norse multiplies by its float32 parameter: 0.001 * 500 in float32 for tau = 2
    assert graph["lif1"].op.decay == float(1e-3 * torch.tensor(500.0))


# --- neurons --------------------------------------------------------------------------------


@pytest.mark.parametrize("subtract", [False, True])
def test_norses_constants(subtract):
    extra = {"reset_method": reset_subtract} if subtract else {}
    leak = 0.0 if subtract else 0.25
    p = LIFBoxParameters(
        tau_mem_inv=torch.tensor(250.0), v_leak=torch.tensor(leak), v_th=torch.tensor(0.625),
        v_reset=torch.tensor(-0.5), **extra,
    )  # fmt: skip

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = MultiStep(LIFBoxCell(p))

        def forward(self, x: Tensor) -> Tensor:
            return self.neuron(x)

    x = events(20, 3, 6, high=3)  # dyadic numbers: exact in both
    graph = graph_of(Net(), x)
    reset = 0.0 if subtract else -0.5
    op = g.LIF(0.25, 0.625, leak=leak, reset=reset, subtract=subtract, start=leak)
    assert graph["neuron"].op == op
    compare(Net(), graph, x)


def test_a_membrane_on_the_threshold_fires_where_the_framework_says():
    x = torch.tensor([1.0, 0.999, 2.0, 0.5]).double().reshape(1, 1, 4).expand(3, 1, 4)

    class Net(nn.Module):
        def __init__(self, neuron: MultiStep) -> None:
            super().__init__()
            self.neuron = neuron

        def forward(self, x: Tensor) -> Tensor:
            return self.neuron(x)

    first = []
    for neuron in (ge_lif(2.0, 0.5), lif(2.0, 0.5)):
        model = Net(neuron)
        graph = graph_of(model, x)
        got = evaluate.run(graph, x.numpy().swapaxes(0, 1))["neuron"]
        np.testing.assert_array_equal(got[0], model(x)[:, 0].detach().numpy())
        first.append(got[0, 0].tolist())
    assert first == [[1, 0, 1, 0], [0, 0, 1, 0]]


def test_the_opaque_op_is_the_neuron():
    x = events(12, 2, 5, high=3)
    for subtract in (False, True):
        got = lif_over_time(x, LifSpec(0.5, 0.75, 1.5, 0.25, -0.25, subtract))
        graph = g.Graph(
            (
                g.Node("input", g.Input(), (), (5,)),
                g.Node("lif", g.LIF(0.5, 0.75, 1.5, 0.25, -0.25, subtract), (("input",),), (5,)),
                g.Node("output", g.Output("none"), (("lif",),), (5,)),
            ),
            12,
        )
        want = evaluate.run(graph, x.numpy().swapaxes(0, 1))["lif"]
        assert 0.1 < want.mean() < 0.9
        np.testing.assert_array_equal(got.numpy().swapaxes(0, 1), want)


def refused(model: nn.Module, x: Tensor, **options: float) -> list[tuple[str, str, str]]:
    """(code, place, whole text) of every problem; the model must be as before."""
    flags = [m.training for m in model.modules()]
    modules = list(model.modules())
    with pytest.raises(SfxError) as error:
        export(model, x, **options)
    assert [m.training for m in model.modules()] == flags
    assert [id(m) for m in model.modules()] == [id(m) for m in modules]
    assert "Traceback" not in str(error.value)
    return [(p.code, p.where, str(p)) for p in error.value.problems]


def test_neurons_that_are_not_mapped_are_listed_at_once():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential(LIFAdExCell(), MultiStep(LIFRecurrentCell(2, 2)))
            self.b = GreaterEqualLIF()
            self.c = MultiStep(nn.Linear(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x)

    found = refused(Net(), events(STEPS, 1, 4))
    assert [(c, w) for c, w, _ in found] == [
        ("SFX-E105", "a.0"), ("SFX-E105", "a.1"), ("SFX-E105", "c"),
    ]  # fmt: skip
    assert "LIFAdExCell is not mapped" in found[0][2]
    assert "in a MultiStep LIFBoxCell" in found[1][2]


def test_constants_of_neurons_that_are_not_mapped():
    def with_cell(cell: nn.Module) -> nn.Module:
        return nn.Sequential(MultiStep(cell))

    x = events(STEPS, 1, 4)
    many = LIFBoxParameters(v_th=torch.tensor([1.0, 2, 3, 4]))
    assert "v_th differs" in refused(with_cell(LIFBoxCell(many)), x)[0][2]
    fast = LIFBoxParameters(tau_mem_inv=torch.tensor(2000.0))
    assert "must be in (0, 1]" in refused(with_cell(LIFBoxCell(fast)), x)[0][2]
    assert "dt = 0.0001" in refused(with_cell(LIFBoxCell(dt=1e-4)), x)[0][2]
    export(with_cell(LIFBoxCell(dt=1e-4)), x, dt=1e-4)
    both = LIFBoxParameters(v_leak=torch.tensor(0.5), reset_method=reset_subtract)
    made = graph_of(with_cell(LIFBoxCell(both)), x).of_type(g.LIF)[0].op
    assert (made.threshold, made.leak, made.start, made.subtract) == (1.0, 0.5, 0.5, True)
    odd = LIFBoxParameters(reset_method=lambda z, v, r, t: v)
    assert "reset method" in refused(with_cell(LIFBoxCell(odd)), x)[0][2]


# --- single ops -----------------------------------------------------------------------------


class Constants(nn.Module):
    """Constants of every broadcast form for spikes [T, B, 4, 6, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("channel", torch.rand(4, 1, 1))
        self.register_buffer("column", torch.rand(6))
        self.register_buffer("place", torch.rand(4, 6, 6))
        self.register_buffer("matrix", torch.rand(3, 6))


def squared(y: Tensor) -> Tensor:
    return y * y


def unmerged(y: Tensor, s: Tensor, axes: int = 2) -> Tensor:
    """The axis 0 of `y` split into the first axes of `s` again."""
    return y.unflatten(0, s.shape[:axes])


OPS = {
    "add": lambda s, m: s + s * 0.5,
    "add itself": lambda s, m: s + s,
    "sub": lambda s, m: s * 3 - s * 0.5,
    "alpha": lambda s, m: torch.add(s, s * 2, alpha=-0.5),
    "rsub": lambda s, m: 2.0 - s,
    "neg": lambda s, m: -s + 1,
    "add a constant": lambda s, m: s + 0.25,
    "add per channel": lambda s, m: m.channel + s,
    "add per column": lambda s, m: s - m.column,
    "add per place": lambda s, m: s + m.place,
    "scale": lambda s, m: 0.125 * s,
    "scale per channel": lambda s, m: s * m.channel,
    "scale per place": lambda s, m: s * m.place,
    "divide": lambda s, m: s / 4,
    "divide per channel": lambda s, m: s / (m.channel + 1),
    "square": lambda s, m: s * s,
    "three factors": lambda s, m: s * (s + 1) * (s - 0.5),
    "broadcast product": lambda s, m: s * s.sum(3, keepdim=True),
    "broadcast product of two": lambda s, m: s.sum(-1, keepdim=True) * s.sum(-2, keepdim=True),
    "broadcast sum": lambda s, m: s + s.mean((3, 4), keepdim=True),
    "lower rank": lambda s, m: s + s.flatten(3).sum(3)[..., None, None],
    "expand": lambda s, m: s.sum(2, keepdim=True).expand(-1, -1, 5, -1, -1),
    "repeat": lambda s, m: s.repeat(1, 1, 2, 1, 3),
    "mean of tokens": lambda s, m: s.mean((-1, -2)),
    "sum of all": lambda s, m: s.sum((2, 3, 4), keepdim=True),
    "cumsum": lambda s, m: s.cumsum(0) * 0.5,
    "flatten": lambda s, m: s.flatten(1, 2).unflatten(1, (s.shape[1], 2, 2)).flatten(4),
    "permute": lambda s, m: s.permute(0, 1, 4, 2, 3).transpose(2, 3),
    "time last and back": lambda s, m: (s.permute(2, 3, 4, 0, 1) * 2).permute(3, 4, 0, 1, 2),
    "merged with time": lambda s, m: s.permute(2, 0, 1, 3, 4).reshape(-1, 6, 6)
    .view(4, s.shape[0], s.shape[1], 36).permute(1, 2, 0, 3),
    "squeeze": lambda s, m: s.unsqueeze(2).sum(3).squeeze(2),
    "movedim": lambda s, m: s.movedim(2, 4).swapaxes(2, 3),
    "contiguous": lambda s, m: s.mT.contiguous().clone().detach().view(*s.shape[:2], -1),
    "whole slice": lambda s, m: s[:, :, :],
    "matmul": lambda s, m: s @ s.mT,
    "matmul broadcast": lambda s, m: s.sum(2, keepdim=True) @ s,
    "batch matmul": lambda s, m: torch.bmm(s.flatten(0, 2), s.flatten(0, 2)).view(s.shape),
    "constant on the right": lambda s, m: s @ m.matrix.T,
    "constant on the left": lambda s, m: m.matrix @ s,
    "einsum": lambda s, m: torch.einsum("tbchw,tbcvw->tbchv", s, s),
    "float cast": lambda s, m: s.float().double(),
    "max pool": lambda s, m: unmerged(F.max_pool2d(s.flatten(0, 1), 3, 2, 1), s),
    "max pool of currents": lambda s, m: F.max_pool2d((s - 0.5 * s.cumsum(0)).flatten(0, 1), (2, 3))
    .unflatten(0, s.shape[:2]),
    "max pool of three axes": lambda s, m: unmerged(F.max_pool2d(s.flatten(0, 2), 2), s, 3),
    "max pool 1d": lambda s, m: unmerged(F.max_pool1d(s.flatten(3).flatten(0, 1), 4), s),
    "avg pool": lambda s, m: unmerged(F.avg_pool2d(s.flatten(0, 1), 3, 1, 1), s),
    "square of a pool": lambda s, m: squared(unmerged(F.avg_pool2d(s.flatten(0, 1), 2), s)),
    "adaptive": lambda s, m: unmerged(F.adaptive_avg_pool2d(s.flatten(0, 1), (2, 3)), s),
    "adaptive to one": lambda s, m: unmerged(F.adaptive_avg_pool2d(s.flatten(0, 1), 1), s),
    "dropout": lambda s, m: F.dropout(s, 0.5, training=m.training),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OPS))
def test_op(name):
    model = Function(OPS[name], Constants()).double().eval()
    x = events(STEPS, 2, 4, 6, 6, seed=5)
    compare(model, graph_of(model, x), x)


LAYERS = {
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4, padding=1),
    "grouped": lambda: nn.Conv2d(4, 6, (3, 1), groups=2, stride=(1, 2), bias=False),
    "not square": lambda: nn.Conv2d(4, 3, (1, 5), padding=(0, 2), dilation=(1, 1)),
    "dilated": lambda: nn.Conv2d(4, 3, 3, dilation=2, padding=2, stride=2),
    "same": lambda: nn.Conv2d(4, 3, 3, padding="same"),
    "valid": lambda: nn.Conv2d(4, 3, 3, padding="valid"),
    "no affine": lambda: nn.BatchNorm2d(4, affine=False),
}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer(name):
    layer = LAYERS[name]()
    if name == "no affine":
        layer.running_var.uniform_(0.5, 2)
    model = Function(lambda s, m: m(s.flatten(0, 1)).unflatten(0, s.shape[:2]), layer)
    model.double().eval()
    x = events(STEPS, 2, 4, 6, 6, seed=6)
    compare(model, graph_of(model, x), x)


LAYERS_1D = {
    "conv1d": lambda: nn.Conv1d(4, 6, 3, padding=1, stride=2),
    "depthwise 1d": lambda: nn.Conv1d(4, 4, 3, groups=4, bias=False),
    "batch norm": lambda: nn.BatchNorm1d(4),
}


@pytest.mark.parametrize("name", sorted(LAYERS_1D))
def test_layer_1d(name):
    model = Function(lambda s, m: m(s.flatten(0, 1)).unflatten(0, s.shape[:2]), LAYERS_1D[name]())
    x = events(STEPS, 2, 4, 9, seed=7)
    enliven(model, x)
    compare(model, graph_of(model, x), x)


def test_linear_on_one_vector_and_on_tokens_of_tokens():
    for shape in ((5,), (1, 5), (3, 5), (2, 3, 5), (1, 1, 5)):
        model = Function(lambda s, m: m(s), nn.Linear(5, 4)).double()
        x = events(STEPS, 2, *shape, seed=8)
        graph = graph_of(model, x)
        compare(model, graph, x)
        kind = g.Linear if int(np.prod(shape[:-1])) == 1 else g.Conv2d
        assert len(graph.of_type(kind)) == 1


def test_addmm_forms():
    class Net(Function):
        def __init__(self) -> None:
            super().__init__(lambda s, m: s)
            self.w = nn.Parameter(torch.rand(5, 3))
            self.b = nn.Parameter(torch.rand(3))

        def forward(self, x: Tensor) -> Tensor:
            s = self.lif(x).flatten(0, 1)
            y = torch.addmm(self.b, s, self.w, beta=0.5, alpha=2.0)
            return torch.addmm(y, s, self.w, beta=2.0).unflatten(0, x.shape[:2])

    model = Net().double()
    x = events(STEPS, 2, 5, seed=9)
    compare(model, graph_of(model, x), x)


def test_shared_modules_get_names_of_their_own():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.neuron = lif(2.0, 0.1)

        def forward(self, x: Tensor) -> Tensor:
            return self.neuron(self.fc(self.neuron(self.fc(x))))

    model = Net().double()
    graph = graph_of(model, events(STEPS, 1, 4))
    assert {"fc", "fc_2", "neuron", "neuron_2"} <= {n.name for n in graph}
    assert graph["neuron_2"].module == "neuron"


def test_unused_layers_and_their_neurons_are_left_out():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = lif(2.0, 0.1), lif(2.0, 0.1)

        def forward(self, x: Tensor) -> Tensor:
            self.b(x * 2)
            return self.a(x)

    graph = graph_of(Net(), events(STEPS, 1, 4))
    assert [n.name for n in graph] == ["input", "a", "output"]


# --- refusals -------------------------------------------------------------------------------


def test_every_unsupported_op_is_listed_at_once():
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.act = nn.GELU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x) + self.norm(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif(2.0, 0.5)
            self.blocks = nn.ModuleList([Bad(), Bad()])

        def forward(self, x: Tensor) -> Tensor:
            x = self.lif(x)
            y = self.blocks[0](x) + self.blocks[1](x)
            return y + torch.softmax(x, -1)

    found = refused(Net(), events(STEPS, 1, 3, 4))
    assert {c for c, _, _ in found} == {"SFX-E103"}
    places = [w.split(" ")[0] for _, w, _ in found]
    assert places == ["blocks.0.act", "blocks.0.norm", "blocks.1.act", "blocks.1.norm", "model"]
    text = "\n".join(t for _, _, t in found)
    assert "gelu" in text
    assert "spiking neuron" in text
    assert "layer_norm" in text
    assert "use BatchNorm" in text
    assert "softmax" in text


MIXES = {
    "product after the mean": lambda s, m: s.mean(0) * s.sum(0),
    "full attention": lambda s, m: (lambda z: z @ z.mT)(s.transpose(0, 1).flatten(1, 2)),
    "between steps": lambda s, m: s.transpose(0, 2) @ s.transpose(0, 2).mT,
    "cumsum over tokens": lambda s, m: s.cumsum(2),
    "cumsum over time and tokens": lambda s, m: s.transpose(0, 1).flatten(1, 2).cumsum(1),
    "linear over time": lambda s, m: s.transpose(0, 3) @ torch.ones(5, 5).double(),
    "conv over time": lambda s, m: F.conv1d(s[:, 0].permute(1, 2, 0), torch.ones(4, 4, 3).double()),
    "cut through time": lambda s, m: s.permute(1, 2, 3, 0).reshape(3, 10, 2),
    "mean over samples": lambda s, m: s.mean(1),
    "sum of everything": lambda s, m: s.sum(),
    "time embedding": lambda s, m: s + torch.arange(5).double().view(5, 1, 1, 1),
    "time with space": lambda s, m: m(s.transpose(0, 2)),
    "pool over time": lambda s, m: F.max_pool2d(s.permute(1, 2, 0, 3), 2),
    "batch norm over time": lambda s, m: F.batch_norm(
        s.transpose(0, 1), torch.zeros(5).double(), torch.ones(5).double()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MIXES))
def test_mixing_time_steps_is_refused_by_name(name):
    model = Function(MIXES[name], lif(2.0, 0.5)).double()
    found = refused(model, events(STEPS, 1, 3, 4))
    assert found[0][0] in ("SFX-E104", "SFX-E103"), found
    if name not in ("conv over time",):  # that one selects a sample first
        assert {c for c, _, _ in found} == {"SFX-E104"}, found


FORMS = {
    "slice of steps": (lambda s: s[1:], "SFX-E104"),
    "chunk of steps": (lambda s: s.chunk(2, 0)[0], "SFX-E104"),
    "cat of steps": (lambda s: torch.cat([s, s], 0), "SFX-E104"),
    "flip of steps": (lambda s: s.flip(0), "SFX-E104"),
    "round": (lambda s: s.round(), "SFX-E103"),
    "compare": (lambda s: (s > 0).double(), "SFX-E103"),
    "divide by a stream": (lambda s: s / (s + 1), "SFX-E103"),
    "constant over a stream": (lambda s: 1 / (s + 1), "SFX-E103"),
    "integer cast": (lambda s: s.long(), "SFX-E103"),
    "active dropout": (lambda s: F.dropout(s, 0.5, training=True), "SFX-E103"),
    "batch statistics": (
        lambda s: F.batch_norm(s.flatten(0, 1), None, None, training=True), "SFX-E103"
    ),
    "max over channels": (lambda s: F.max_pool3d(s.unsqueeze(3), (3, 1, 1)), "SFX-E107"),
    "uneven adaptive pool": (lambda s: F.adaptive_avg_pool1d(s.flatten(0, 1), 3), "SFX-E107"),
    "ceil mode": (lambda s: F.avg_pool1d(s.flatten(0, 1), 3, ceil_mode=True), "SFX-E107"),
    "pool without its padding": (
        lambda s: F.avg_pool1d(s.flatten(0, 1), 3, padding=1, count_include_pad=False), "SFX-E107"
    ),
    "a matrix per head": (
        lambda s: s @ torch.arange(48.0).double().view(3, 1, 1, 4, 4), "SFX-E107"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMS))
def test_forms_that_are_not_mapped(name):
    function, code = FORMS[name]
    steps = 3 if name == "a matrix per head" else STEPS
    found = refused(Function(lambda s, m: function(s)).double(), events(steps, 1, 3, 4))
    assert found[0][0] == code, found
    assert len(found[0][2].splitlines()) == 2 or code == "SFX-E107", "a hint says what to do"


def test_outputs():
    x = events(STEPS, 1, 4)
    two = Function(lambda s, m: (None, torch.ones(2), s, {"hooks": s * 2})).double()
    assert [n.name for n in graph_of(two, x)] == ["input", "lif", "output"]
    second = nir_bridge.to_graph(export(two, x, output=1))
    assert [n.name for n in second] == ["input", "lif", "scale", "output"]
    with pytest.raises(UnsupportedError, match="returns 2 tensors that depend on the input"):
        export(two, x, output=2)
    assert refused(Function(lambda s, m: torch.ones(2)).double(), x)[0][0] == "SFX-E106"
    one = Function(lambda s, m: (s, None)).double()
    assert nir_bridge.to_graph(export(one, x)).of_type(g.Output)


def test_examples():
    model = ConvNet()
    for example in (
        torch.zeros(5, 2, 2, 8, 8), torch.zeros(5, 1), torch.zeros(0, 1, 2), np.zeros((5, 1, 2)),
        torch.zeros(5, 1, 2, dtype=torch.int64),
    ):  # fmt: skip
        assert refused(model, example)[0][0] == "SFX-E101"


def test_models_that_cannot_be_traced():
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.sum() > 0 else x

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * 2

    class Creates(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.Linear(4, 4)(x)

    class Refuses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise InputError("SFX-E122", "its own message")

    x = events(STEPS, 1, 4)
    assert refused(Branches(), x)[0][0] == "SFX-E102"
    assert refused(Creates(), x)[0][0] in ("SFX-E102", "SFX-E103")  # newer torch traces rand()
    assert refused(Counts(), x)[0][0] == "SFX-E106"
    assert refused(Refuses(), x)[0][0] == "SFX-E122"


def test_the_model_is_left_as_it_was():
    x = events(STEPS, 1, 6, 4)
    model = enliven(Transformer(), x)
    model.train()
    model.attn[0].eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    modules = [(n, id(m), m.training) for n, m in model.named_modules()]
    children = [list(m._modules) for m in model.modules()]
    export(model, x)
    assert [(n, id(m), m.training) for n, m in model.named_modules()] == modules
    assert [list(m._modules) for m in model.modules()] == children
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_facts_and_modules_are_in_the_file():
    source = export(Transformer().double(), events(STEPS, 1, 6, 4), name="tiny")
    facts = ext.facts(source)
    assert facts == {"sfx": 1, "timesteps": STEPS, "dt": 1e-3, "name": "tiny"}
    assert ext.facts(source.nodes["attn.1.attn_lif"]) == {"module": "attn.1.attn_lif"}
    assert not any("/" in name for name in source.nodes)
    graph = nir_bridge.to_graph(source, timesteps=3, dt=2e-3)
    assert (graph.timesteps, graph.dt) == (3, 2e-3)


def test_weights_that_are_not_finite_are_named():
    model = ConvNet().double()
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(SfxError) as error:
        graph_of(model, events(STEPS, 1, 2, 8, 8))
    assert [(p.code, p.where) for p in error.value.problems] == [("SFX-E206", "conv2")]


def test_unsupported_error_kind():
    with pytest.raises(UnsupportedError):
        export(Function(lambda s, m: torch.relu(s)).double(), events(STEPS, 1, 4))
