"""Spikes with their gradient: what is watched, what it costs, and beside torch's own autograd."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.toolchain.compiler.cost.synops import synops, synops_by_neuron  # noqa: E402
from sfx.toolchain.formats.fine_tuned import TRAINED  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.training import Activity, synops_per_spike  # noqa: E402
from tests.unit.qat.nets import events, labels, prepared, time_first  # noqa: E402

LIF = "blocks.0.mlp.fc1.lif"
T, INPUTS, HIDDEN = 6, 10, 16


def test_watched_spikes_are_those_of_spikes_and_of_the_same_pass() -> None:
    model, x = prepared(), time_first(events())
    every = model.spikes(x)
    assert len(every) == len(model.template.program.populations)
    with model.watching(LIF, "clock") as sent:
        logits = model(x)
        kept = dict(sent)
        assert torch.equal(kept[LIF], every[LIF])
        assert kept[LIF].sum() > 0
        assert torch.equal(kept["clock"], every["clock"])
        model(x.flip(1))
        assert torch.equal(sent[LIF], every[LIF].flip(1)), "the latest pass"
    assert torch.equal(logits, model(x))
    assert not every[LIF].requires_grad
    kept[LIF].sum().backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert "weights.input->tokenizer/0/lif" in reached
    assert "weights.classifiers/0/reduce_sum/relay->output" not in reached


def test_names_are_modules_or_populations() -> None:
    model, x = prepared(), time_first(events(2))
    found = model.spikes(x, ["blocks.0", "output"], gradient=True)
    assert list(found) == ["blocks.0", "output"]
    assert torch.equal(found["blocks.0"], model.spikes(x)["blocks.0.sum"])
    assert found["blocks.0"].requires_grad
    with torch.no_grad():
        assert not model.spikes(x, [LIF], gradient=True)[LIF].requires_grad
    for name, what in (("nowhere", "neither"), ("blocks.0.attn", "3 populations")):
        with pytest.raises(InputError, match=what) as error:
            model.spikes(x, [name])
        assert error.value.code == "SFX-E368"
    again = sfx.qat.QatModel(model.template)
    with again.watching(LIF):
        assert "_watches" not in again.__getstate__()


def test_the_cost_of_spikes_is_what_the_cost_model_counts_of_a_run() -> None:
    """All synops of a run, and those of the populations that the default looks at."""
    model, x = prepared(), events(5)
    program = model.program()
    sent = FastBackend().layers(program, x)
    default = model.synops()
    left = {q.name for q in program} - set(default)
    assert left == {"input", "clock", "output", "blocks.0.attn.product", "blocks.0.attn.product_2"}
    every = {q.name: synops_by_neuron(program, q.name) for q in program}
    for chosen in (default, every):
        events_of = {n: (v != 0).sum(0) * (n in chosen) for n, v in sent.items()}
        counts = SimpleNamespace(samples=5, events=events_of, active={})
        activity = Activity(model, chosen)
        with activity.watching():
            model(time_first(x))
            found = float(activity.cost(5).detach())
        assert found == pytest.approx(synops(program, counts) / 5, rel=1e-6)
        assert found > 1_000


def test_a_penalty_lowers_the_synops_of_the_program() -> None:
    model, x, y = prepared(), events(24), labels(24)
    activity = Activity(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    costs = []
    for _ in range(25):
        with activity.watching():
            loss = torch.nn.functional.cross_entropy(model(time_first(x)), y)
            costs.append(activity.cost(24))
        optimizer.zero_grad()
        (loss + costs[-1] / costs[0].detach()).backward()
        optimizer.step()
    assert costs[-1] < 0.8 * costs[0]
    assert sfx.qat.verify(model, x[:6]).equal


def test_costs_by_module_are_those_of_its_populations() -> None:
    model = prepared()
    by_module = synops_per_spike(model.program())
    activity = Activity(model, {LIF: by_module[LIF], "blocks.0.mlp.fc2.lif": 2.0})
    with activity.watching():
        model(time_first(events(4)))
    sent = model.spikes(time_first(events(4)))
    expected = by_module[LIF] * sent[LIF].sum() + 2 * sent["blocks.0.mlp.fc2.lif"].sum()
    assert float(activity.cost(4).detach()) == pytest.approx(float(expected) / 4)
    with pytest.raises(InputError) as error:
        Activity(model, {"nowhere": 1.0})
    assert error.value.code == "SFX-E368"
    assert np.ndim(model.synops()[LIF]) == 1


class _Triangle(torch.autograd.Function):
    """A step at 1 whose derivative is a triangle as wide as the threshold (Esser et al. 2016)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return (v > 1).to(v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return grad * (1 - (v - 1).abs()).clamp(min=0)


class Floats(nn.Module):
    """Two layers of LIF neurons in plain torch, whose gradients are autograd's own."""

    def __init__(self, tau: float, grid: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.f1, self.f2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.out, self.tau = nn.Linear(HIDDEN, 3), tau
        self.keep = [torch.tensor(1 - 1 / tau, requires_grad=True) for _ in range(2)]
        self.threshold = [torch.ones((), requires_grad=True) for _ in range(2)]
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_((parameter * 3 * tau * grid).round() / grid)

    def lif(self, current: Tensor, layer: int) -> Tensor:
        v, sent = torch.zeros_like(current[0]), []
        for step in current:
            v = self.keep[layer] * v + step / self.tau
            sent.append(_Triangle.apply(v - self.threshold[layer] + 1))
            v = torch.where(sent[-1] > 0, torch.zeros_like(v), v)
        return torch.stack(sent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.lif(self.f1(x), 0)
        return first, self.lif(self.f2(first), 1)

    def deployed(self) -> nn.Module:
        """The same network of modules that are read."""
        return nn.Sequential(self.f1, lif(self.tau), self.f2, lif(self.tau), self.out, Total())


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(0)


@pytest.mark.parametrize(("tau", "grid", "closeness"), [(2.0, 32, 1 - 1e-6), (3.0, 4096, 0.999)])
def test_gradients_of_spikes_are_autograd_s(tau: float, grid: int, closeness: float) -> None:
    """On a net that nothing rounds they are equal; else as close as the rounded net is."""
    net = Floats(tau, grid)
    x = (np.random.default_rng(5).random((40, T, INPUTS)) < 0.4).astype(np.int64)
    model = sfx.qat.prepare(net.deployed(), calibrate=x, train=TRAINED)
    theirs = net(time_first(x))
    sent = model.spikes(time_first(x), ["1", "3"], gradient=True)
    for mine, wanted in zip(sent.values(), theirs, strict=True):
        assert 0.05 < wanted.mean() < 0.5
        assert float((mine != wanted).float().mean()) <= (0 if grid == 32 else 0.01)
    weigh = torch.randn(HIDDEN, generator=torch.Generator().manual_seed(1))
    for spikes in (sent.values(), theirs):
        sum((s * weigh).sum() for s in spikes).backward()
    compared = 0
    for (key, mine), layer in zip(model.weights.items(), (net.f1, net.f2), strict=False):
        whole = layer.weight.detach()
        unit = float((whole / mine.detach()).nanmedian())  # of the parameter, in the float net's
        there = whole != 0  # a weight of 0 is no synapse
        got = (mine.grad / unit)[there], layer.weight.grad[there]
        assert torch.nn.functional.cosine_similarity(*got, dim=0) >= closeness, key
        assert got[0].norm() / got[1].norm() == pytest.approx(1, abs=2 * (1 - closeness) + 1e-5)
        compared += int(got[1].count_nonzero())
        assert float(model.scales[key].grad) == pytest.approx(
            float((layer.weight.grad * whole).sum()), rel=1e-4 + 2 * (1 - closeness) ** 0.5
        )
    assert compared > 250
    for i, name in enumerate(("1", "3")):
        for got, wanted in (
            (model.thresholds[name], net.threshold[i]),
            (model.leaks[name], net.keep[i]),
        ):
            assert abs(float(wanted.grad)) > 1
            close = 1e-4 + (1 - closeness) * 50
            assert float(got.grad) == pytest.approx(float(wanted.grad), rel=close)
