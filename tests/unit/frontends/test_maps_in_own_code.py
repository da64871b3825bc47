"""Parallel spiking neurons in people's own code are known by what they compute."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from tests.e2e.own_maps import Filtered, Square, Taps  # noqa: E402
from torch import Tensor, nn  # noqa: E402  (after importorskip)

from sfx.frontends.neurons import map_by_behaviour, registry  # noqa: E402
from sfx.frontends.neurons.spec import MapSpec  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.compare import compare  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402


def trained(module: nn.Module) -> nn.Module:
    """With any numbers, some of them very small or large."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=rng))
            p.view(-1)[:2] *= torch.tensor([1e-6, 1e6])[: p.numel()]
    return module


def read(module: nn.Module) -> MapSpec:
    found = registry.opaque(module, 1e-3, "here")
    assert found is not None
    assert isinstance(found.spec, MapSpec)
    return found.spec


@pytest.mark.parametrize("steps", [1, 2, 4, 32])
def test_square_weights(steps: int) -> None:
    if steps == 1:
        assert registry.opaque(Square(1), 1e-3, "here") is None  # a neuron of one step: any
        return
    keep = torch.tril(torch.ones(steps, steps)) * 0.7 + 0.3
    for module in (trained(Square(steps)), trained(Square(steps, keep))):
        spec = read(module)
        want = module.fc.weight * module.keep
        assert torch.equal(torch.tensor(spec.weight), want)
        assert torch.equal(torch.tensor(spec.bias), module.fc.bias)
        assert not spec.taps


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("kind", ["first", "second", "filtered"])
def test_taps(kind: str, order: int) -> None:
    module = trained(Filtered(order) if kind == "filtered" else Taps(order, kind == "second"))
    spec = read(module)
    assert torch.equal(torch.tensor(spec.taps), module.weight.flatten())
    sign = -1.0 if kind == "filtered" else 1.0
    assert spec.bias == (sign * module.threshold.item(),)
    assert not spec.weight


class Strict(Square):
    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) > 0.5) * 1.0


class Above(Square):
    """Fires where h > 0."""

    def forward(self, x: Tensor) -> Tensor:
        h = torch.addmm(self.fc.bias[:, None], self.fc.weight, x.flatten(1))
        return (h > 0).to(x.dtype).view(x.shape)


class Half(Square):
    """A spike is worth a half."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


class Curved(Square):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.abs())


class Features(Square):
    """Weighs its features, not its steps."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.fc(x) >= 0).to(x.dtype)


class Resetting(nn.Module):
    """A neuron of one parameter, with a membrane."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        v, out = torch.zeros_like(x[0]), []
        for step in x:
            v = v + (step - v) * self.w.sigmoid()
            out.append((v >= 1.0).to(x.dtype))
            v = v * (1 - out[-1])
        return torch.stack(out)


class Wide(nn.Module):
    """Weights of two lengths: not run."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("it was run")


@pytest.mark.parametrize("cls", [Half, Curved, Features, Strict])
def test_others_are_none(cls: type[Square]) -> None:
    assert map_by_behaviour.look(cls(4)) is None


@pytest.mark.parametrize("module", [Resetting(), Wide(), nn.Linear(4, 4), nn.Identity()])
def test_neither_are_these(module: nn.Module) -> None:
    assert map_by_behaviour.look(module) is None


def test_firing_above_0_alone_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="fires at h > 0") as raised:
        registry.opaque(Above(4), 1e-3, "here")
    assert raised.value.code == "SFX-E105"


def test_the_module_is_as_before() -> None:
    module = trained(Square(4)).train()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    read(module)
    assert module.training
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_first", [False, True])
def test_the_graph_is_the_model(batch_first: bool) -> None:
    steps = 5

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.first = nn.Conv2d(2, 3, 3), Taps(2, batch_first)
            self.fc, self.second = nn.Linear(12, 4), Taps(3, batch_first)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            y = self.fc(self.first(y).flatten(2))
            return self.second(y).mean(int(batch_first))

    torch.manual_seed(0)
    net = Net().eval()
    with torch.no_grad():
        net.conv.weight.mul_(3), net.fc.weight.mul_(3)
    layout = "BT" if batch_first else "TB"
    exported = traced(net, torch.zeros(steps, 1, 2, 4, 4), input_layout=layout)
    graph = to_graph(exported.graph)
    assert len(graph.of_type(g.TimeMap)) == 2
    x = (torch.rand(3, steps, 2, 4, 4, generator=torch.Generator().manual_seed(2)) < 0.4).float()
    found = compare(graph, [record(exported, sample.numpy()) for sample in x])
    assert found.silent == ()
