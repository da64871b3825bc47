"""Models that compute with their own T or batch size, and T = 1: torch's output for one sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from norse.torch import LIFBoxCell, LIFBoxParameters  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.formats.nir import bridge as nir_bridge  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from sfx.toolchain.ir import evaluate  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = pytest.mark.needs_torch


class Net(nn.Module):
    """Conv, neuron, then `function` of its spikes [T, B, 2, 4, 4]."""

    def __init__(self, function: Callable[..., Tensor], channels: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        nn.init.normal_(self.conv.weight)
        self.lif, self.second, self.head = lif(1.5, 0.3), lif(1.5, 0.2), nn.Linear(32, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x.flatten(0, 1)))
        return self.function(self, self.lif(y.view(x.shape[0], x.shape[1], *y.shape[1:])))


def same_as_torch(model: nn.Module, x: Tensor, input_layout: str = "TB", run=None) -> g.Graph:
    """The graph's output is torch's, one sample at a time, and every population fires."""
    model = model.double().eval()
    graph = nir_bridge.to_graph(export(model, x[:, :1], input_layout=input_layout))
    assert graph.timesteps == len(x)
    got = evaluate.run(graph, x.numpy().swapaxes(0, 1))
    for node in graph.of_type(g.LIF, g.IF):
        assert 0.02 < got[node.name].mean() < 0.98, node.name
    (end,) = graph.of_type(g.Output)
    ours = evaluate.readout(graph, got[end.name])
    for i in range(x.shape[1]):
        with torch.no_grad():
            want = (run or model)(x[:, i : i + 1]).numpy()
        np.testing.assert_allclose(ours[i].reshape(want.shape), want, rtol=1e-12, atol=1e-12)
    return graph


BODIES = {
    "sum over T by its length": lambda m, s: m.head(s.flatten(2)).sum(0) / s.shape[0],
    "len": lambda m, s: m.head(s.flatten(2)).sum(0) / len(s),
    "mean over T": lambda m, s: m.head(s.flatten(2).mean(0)),
    "current by T": lambda m, s: m.head(m.second(s * (2 / s.size(0))).flatten(2)).mean(0),
    "root of T": lambda m, s: m.second(s * s.shape[0] ** -0.5).sum(0),
    "times the batch size": lambda m, s: m.second(s * (0.5 * s.shape[1])).sum(0),
    "batch size in a bias": lambda m, s: m.second(s + 0.1 * (s.shape[1] - 3)).mean(0),
    "batch size in a constant": lambda m, s: m.second(s * torch.full((4,), 0.7 * s.shape[1]))
    .mean(0),
    "size of the merged axis": lambda m, s: m.second(s / len(s.flatten(0, 1))).mean(0),
    "a branch on the batch size": lambda m, s: (s if s.shape[1] == 1 else s * 2).mean(0),
    "samples merged with channels": lambda m, s: m.head(s.flatten(1)).mean(0),
    "squeezed": lambda m, s: m.head(s.squeeze().flatten(-3)).reshape(-1, 3).mean(0),
    "transposed": lambda m, s: m.second(s.transpose(0, 1).flatten(1, 2).view(1, len(s), -1)
                                        .transpose(0, 1)).sum(0),
    "tokens": lambda m, s: m.second(s.flatten(3).transpose(2, 3) @ s.flatten(3)).mean((0, 2)),
    "cumulated": lambda m, s: m.second(s.cumsum(0)).mean(0),
    "sum and steps": lambda m, s: m.second(s + s.sum(0, keepdim=True)).mean(0),
    "pooled": lambda m, s: m.second(F.avg_pool2d(s.flatten(0, 1), 2).unflatten(0, s.shape[:2]))
    .sum(0),
    "product": lambda m, s: m.second(s * s.sum(2, keepdim=True)).mean(0),
    "normed again": lambda m, s: m.second(m.norm(s.flatten(0, 1)).view(s.shape)).mean(0),
    "all steps": lambda m, s: m.head(s.flatten(2)),
    "loop": lambda m, s: torch.stack([m.head(s[t].flatten(1)) for t in range(len(s))]),
    "sum in a loop": lambda m, s: sum(m.head(s[t].flatten(1)) for t in range(len(s))) / len(s),
}  # fmt: skip


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", sorted(BODIES))
def test_the_models_own_numbers_are_those_of_one_sample(name, steps):
    torch.manual_seed(3)
    same_as_torch(Net(BODIES[name]), events(steps, 3, 2, 4, 4, seed=1, high=2))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["mean over T", "tokens", "normed again", "transposed"])
def test_an_axis_of_one_channel_is_not_taken_for_that_of_samples(name, steps):
    torch.manual_seed(3)
    graph = same_as_torch(Net(BODIES[name], 1), events(steps, 3, 1, 4, 4, seed=2, high=3))
    assert graph["input"].shape == (1, 4, 4)


class Step(nn.Module):
    """One step: Norse's cell between layers, as SequentialState holds it."""

    def __init__(self, steps: int = 1, where: str = "step") -> None:
        super().__init__()
        p = LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.25))
        self.fc, self.cell, self.head = nn.Linear(4, 6), LIFBoxCell(p), nn.Linear(6, 3)
        self.steps, self.where = steps, where

    def step(self, x: Tensor, state: object = None) -> tuple[Tensor, object]:
        spikes, state = self.cell(self.fc(x), state)
        return self.head(spikes), state

    def forward(self, x: Tensor, state: object = None) -> object:
        if self.where == "step":
            return self.step(x, state)
        out = []
        for t in range(self.steps):
            step = {"B": lambda: x, "BT": lambda: x[:, t], "TB": lambda: x[t]}[self.where]()  # noqa: B023
            y, state = self.step(step, state)
            out.append(y)
        return torch.stack(out).mean(0)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("input_layout", ["TB", "BT", "B", "step"])
def test_one_time_step_of_every_kind_of_input(input_layout, steps):
    torch.manual_seed(1)
    model = Step(steps, input_layout).double()
    x = events(steps, 4, 4, seed=3, high=2)
    if input_layout == "B":
        x = x[:1].expand_as(x)

    def run(x: Tensor) -> Tensor:
        if input_layout == "step":
            out, state = [], None
            for step in x:
                y, state = model(step, state)
                out.append(y)
            return torch.stack(out).mean(0)
        return model({"TB": x, "BT": x.transpose(0, 1), "B": x[0]}[input_layout])

    same_as_torch(model, x, input_layout, run)


def shown(how: Callable[[Tensor, int], Tensor], steps: int) -> nn.Module:
    class Shown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = nn.Conv2d(2, 3, 3), lif(1.5, 0.2)

        def forward(self, x: Tensor) -> Tensor:
            x = how(x, steps)
            y = self.conv(x.flatten(0, 1))
            return self.lif(y.unflatten(0, x.shape[:2])).flatten(2).mean(0)

    return Shown()


SHOWN = {
    "repeat": lambda x, t: x.unsqueeze(0).repeat(t, 1, 1, 1, 1),
    "expand": lambda x, t: x.expand(t, *x.shape),
    "repeat of samples": lambda x, t: x.repeat(t, 1, 1, 1).view(t, *x.shape),
    "stack": lambda x, t: torch.stack([x] * t),
    "after a layer": lambda x, t: (x * 0.5).unsqueeze(0).repeat(t, 1, 1, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", sorted(SHOWN))
def test_images_that_the_model_shows_itself(name, steps):
    torch.manual_seed(2)
    model = shown(SHOWN[name], steps).double()
    x = events(1, 4, 2, 6, 6, seed=3, high=2).expand(steps, -1, -1, -1, -1)
    same_as_torch(model, x, "B", lambda x: model(x[0]))


def test_a_mean_over_the_samples_is_refused():
    with pytest.raises(SfxError, match="mixes samples") as error:
        export(Net(lambda m, s: s.mean(1)), torch.zeros(3, 1, 2, 4, 4))
    assert error.value.code == "SFX-E104"
