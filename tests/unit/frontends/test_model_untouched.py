"""Shared layers export right, own loops find their T, and the user's model is never changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")
norse = pytest.importorskip("norse.torch")

from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.formats.nir import bridge as nir_bridge  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch

T, D = 3, 4


def check(
    model: nn.Module, x: Tensor, input_layout: str = "TB", run: Callable | None = None
) -> None:
    """Every neuron fires and the graph's output is torch's, one sample at a time."""
    graph = nir_bridge.to_graph(export(model, x[:, :1], input_layout=input_layout))
    got = evaluate.run(graph, x.numpy().swapaxes(0, 1))
    for node in graph.of_type(g.LIF, g.IF):
        assert 0.02 < got[node.name].mean() < 0.98, node.name
    (end,) = graph.of_type(g.Output)
    ours = evaluate.readout(graph, got[end.name])
    for i in range(x.shape[1]):
        with torch.no_grad():
            want = (run or model)(x[:, i : i + 1]).numpy()
        np.testing.assert_allclose(ours[i].reshape(want.shape), want, rtol=1e-12, atol=1e-12)


class Shared(nn.Module):
    """Layers that stand under several names, in the ways people share them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        layers = [nn.Linear(D, D) for _ in range(3)]
        norms = [nn.BatchNorm1d(D) for _ in range(3)]
        for norm in norms:
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.2, 0.4)
        if how == "layer":
            layers = [layers[0]] * 3
        elif how == "norm":
            norms = [norms[0], norms[1], norms[0]]
        elif how == "weight":
            layers[2].weight = layers[0].weight
        elif how == "buffer":
            norms[1].running_mean = norms[0].running_mean
        self.layers, self.norms = nn.ModuleList(layers), nn.ModuleList(norms)
        self.lifs = nn.ModuleList(lif(1.5, 0.1) for _ in range(3))
        self.first = self.layers[0]

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm, neuron in zip(self.layers, self.norms, self.lifs, strict=True):
            x = neuron(norm(layer(x).flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.first(x).sum(0)


def contents(model: nn.Module) -> list[object]:
    """All that a model holds: the objects, and the bytes of its tensors."""
    out: list[object] = []
    for name, module in model.named_modules(remove_duplicate=False):
        out.append((name, id(module), type(module)))
        for key, value in module.__dict__.items():
            parts = list(value.items()) if isinstance(value, dict) else value
            out.append((key, id(value), repr([(k, id(v)) for k, v in parts])
                        if isinstance(value, dict) else repr(parts)))  # fmt: skip
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                assert type(tensor) in (Tensor, nn.Parameter)
                out.append((id(tensor), tensor.detach().numpy().tobytes(), tensor.requires_grad))
    return out


@pytest.mark.parametrize("how", ["layer", "norm", "weight", "buffer", "none"])
def test_shared_layers(how):
    torch.manual_seed(0)
    model = Shared(how).double().eval()
    before = contents(model)
    check(model, events(T, 4, D, seed=1, high=2))
    assert contents(model) == before


class Keeps(nn.Module):
    """Keeps what it computed, in attributes and containers, and may fail after that."""

    def __init__(self, fails: str = "") -> None:
        super().__init__()
        self.a = nn.Linear(D, D)
        self.b, self.lif, self.fails = self.a, lif(1.5, 0.1), fails
        self.records: list[Tensor] = []
        self.maps: dict[str, list[Tensor]] = {"old": []}
        self.last = None
        self.register_buffer("seen", torch.zeros(()))
        self.a.register_forward_hook(lambda m, i, o: self.records.append(o))

    def forward(self, x: Tensor) -> Tensor:
        self.last = x = self.b(self.lif(self.a(x)))
        self.maps["new"] = [x]
        self.maps["old"].append(x)
        self.extra = x
        self.seen = self.seen + 1
        if self.fails == "raises":
            raise RuntimeError("in the middle")
        if self.fails == "branch":
            return x if x.sum() > 0 else -x
        return torch.softmax(x, -1) if self.fails == "op" else x

    def __repr__(self) -> str:
        return "Keeps"


@pytest.mark.parametrize("fails", ["raises", "branch", "op", ""])
def test_a_model_that_keeps_what_it_computed_is_left_as_it_was(fails):
    model = Keeps(fails)
    model.train()
    model.lif.eval()
    before = contents(model)
    with pytest.raises(SfxError) if fails else nullcontext():
        export(model, torch.zeros(T, 1, D))
    assert contents(model) == before
    assert model.last is None
    assert model.records == []
    assert model.maps == {"old": []}
    assert not hasattr(model, "extra")


class NorseLoop(nn.Module):
    """A loop over time around Norse's cells, with a layer between them."""

    def __init__(self, mid: nn.Module) -> None:
        super().__init__()
        p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.2))
        self.a, self.mid, self.b = norse.LIFBoxCell(p), mid, norse.LIFBoxCell(p)

    def forward(self, x: Tensor) -> Tensor:
        s = r = None
        out = []
        for _ in range(T):
            y, s = self.a(x, s)
            y, r = self.b(self.mid(y), r)
            out.append(y)
        return torch.stack(out)


MIDDLES = {
    "linear": (lambda: nn.Linear(8, 8), (8,)),
    "no bias": (lambda: nn.Linear(8, 8, bias=False), (8,)),
    "conv": (lambda: nn.Conv2d(1, 4, 3), (1, 8, 8)),
    "conv 1d": (lambda: nn.Conv1d(1, 4, 3), (1, 8)),
    "max pool": (lambda: nn.MaxPool2d(2), (1, 8, 8)),
    "norm": (lambda: nn.BatchNorm1d(8), (8,)),
    "nothing": (lambda: nn.Identity(), (8,)),
}


@pytest.mark.parametrize("name", sorted(MIDDLES))
def test_the_steps_of_a_loop_around_norses_cells(name):
    torch.manual_seed(4)
    make, shape = MIDDLES[name]
    model = NorseLoop(make()).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_()
    image = torch.rand(1, 6, *shape, dtype=torch.float64) * 0.35
    check(model, image.expand(T, *image.shape[1:]), "B", lambda x: model(x[0]))


@pytest.mark.parametrize("start", ["zeros_like", "reset_mem", "zeros"])
def test_the_steps_of_a_loop_around_snntorchs_neurons(start):
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.d = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
            self.a = snn.Leaky(beta=0.875, threshold=0.25, reset_mechanism="zero")
            self.b = snn.Leaky(beta=0.75, threshold=0.0625)

        def start(self, neuron: nn.Module, like: Tensor) -> Tensor:
            if start == "reset_mem":
                return neuron.reset_mem()
            return torch.zeros_like(like) if start == "zeros_like" else torch.zeros(1)

        def forward(self, x: Tensor) -> Tensor:
            out = []
            for t in range(T):
                c = self.c(x)
                m = self.start(self.a, c) if t == 0 else m  # noqa: F821
                y, m = self.a(c, m)
                d = self.d(y)
                s = self.start(self.b, d) if t == 0 else s  # noqa: F821
                y, s = self.b(d, s)
                out.append(y)
            return torch.stack(out)

    torch.manual_seed(2)
    model = Net().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((weight * 16).round() / 16)
    image = torch.randint(0, 3, (1, 6, 1, 8, 8)).float() / 8
    check(model, image.expand(T, *image.shape[1:]), "B", lambda x: model(x[0]))


def test_neurons_of_different_numbers_of_steps_are_named():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = norse.LIFBoxCell(), norse.LIFBoxCell()

        def forward(self, x: Tensor) -> Tensor:
            s = r = None
            for _ in range(T):
                y, s = self.a(x, s)
                y, r = self.b(y, r)
                y, r = self.b(y, r)
            return y

    with pytest.raises(SfxError, match=r"different numbers of steps: \[3, 6\]") as error:
        export(Twice(), torch.zeros(1, 1, D), input_layout="B")
    assert error.value.code == "SFX-E195"


def test_threads_export_what_one_does():
    torch.manual_seed(5)
    models = [Shared(how) for how in ("layer", "norm", "weight", "none")]
    models += [nn.Sequential(nn.Linear(D, n), lif(1.5, 0.1)) for n in (3, 5, 7, 9)]

    def one(model: nn.Module) -> list[str]:
        source = export(model, torch.zeros(T, 1, D))
        return [f"{name} {vars(node)}" for name, node in source.nodes.items()]

    alone = [one(model) for model in models]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, models * 3)) == alone * 3
