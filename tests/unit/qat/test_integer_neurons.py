"""Fine-tuning nets of integer and ternary neurons: torch and Program agree on every value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from sfx.frontends.neurons.integer import MultiSpike  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.qat import straight  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from sfx.toolchain.qat.verify import verify  # noqa: E402
from tests.e2e.integer_nets import OverTime, SmallV3, representable  # noqa: E402
from tests.e2e.ternary_nets import Ternary  # noqa: E402

SAMPLES = 12


def prepared(which: str, bits: int = 8) -> tuple[QatModel, np.ndarray]:
    """The net as `sfx.qat.prepare` makes it, and samples [K, T, ...]."""
    rng = np.random.default_rng(0)
    options = sfx.qat.Options(bits=bits, integer_spikes="slots" if which == "slots" else "auto")
    if which == "over time":
        x, net, layout = rng.integers(0, 3, (SAMPLES, 5, 6)), OverTime(), "TB"
    elif which == "ternary":
        x, net, layout = rng.integers(0, 2, (SAMPLES, 4, 2, 8, 8)), Ternary(4), "TB"
    else:
        x, net, layout = rng.integers(0, 2, (SAMPLES, 1, 2, 8, 8)), SmallV3(), "B"
    gain = 1.0 if which == "ternary" else 2.0
    model = representable(net, 0 if which == "ternary" else 2, gain)
    return sfx.qat.prepare(model, calibrate=x, options=options, input_layout=layout), x


def trained(model: QatModel, x: np.ndarray, steps: int = 6) -> list[float]:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    events = torch.from_numpy(x).float().transpose(0, 1)
    y = torch.arange(len(x)) % 3
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(events), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("which", ["graded", "slots", "over time", "ternary"])
def test_what_is_trained_is_the_program(which: str) -> None:
    model, x = prepared(which)
    before = model.program()
    found = verify(model, x)
    assert found.equal
    assert found.silent == ()
    losses = trained(model, x)
    assert min(losses) < losses[0]
    grads = [q.grad for q in model.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)
    # the large weights of SmallV3 drive its last neurons beyond D, where the model's own gradient
    # ends too; the others learn everywhere
    reached = [g for g in grads if g is not None and g.any()]
    assert len(reached) == len(grads) or which in ("graded", "slots")
    after = model.program()
    rng = np.random.default_rng(5)
    unseen = rng.integers(0, int(x.max()) + 1, x.shape)
    found = verify(model, unseen)
    assert found.equal
    assert found.compared == len(x) * after.timesteps * sum(q.size for q in after)
    moved = [
        a.name
        for a in before.projections
        for b in after.projections
        if a.name == b.name
        and isinstance(a.connection, p.Dense | p.Conv2d)
        and not np.array_equal(a.connection.weight, b.connection.weight)
    ]
    assert len(moved) >= 2
    sums = sfx.run(sfx.compile(model), unseen).sums
    with torch.no_grad():
        logits = model(torch.from_numpy(unseen).float().transpose(0, 1))
    real = (sums if sums.ndim == 2 else sums.reshape(len(x), -1)) / after.readout.scale
    assert np.allclose(real, logits.numpy().reshape(real.shape), atol=1e-5)


class TwoLayers(torch.nn.Module):
    """No batch norm, so that a weight of torch's is one of the Program's."""

    def __init__(self, neuron: Any) -> None:
        super().__init__()
        self.a, self.neuron = torch.nn.Linear(6, 10), neuron
        self.b, self.head = torch.nn.Linear(10, 8), torch.nn.Linear(8, 3)
        self.second = MultiSpike(3, 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.second(self.b(self.neuron(self.a(x))))).mean(0)


class HalfTernary(torch.nn.Module):
    """The ternary spike as its authors have it: beyond a half, with the gradient of -1..1."""

    def forward(self, x: Any) -> Any:
        clamped = torch.clamp(x, -1, 1)
        return (torch.sign(x) * (x.abs() >= 0.5) - clamped).detach() + clamped


@pytest.mark.parametrize("neuron", [MultiSpike(4, 2), HalfTernary()], ids=["integer", "ternary"])
def test_gradients_are_those_of_the_model_itself(neuron: Any) -> None:
    """Where nothing is rounded and T = 1: torch's own backward pass through the float model."""
    net = representable(TwoLayers(neuron), 3)
    x = np.random.default_rng(1).integers(0, 3, (40, 1, 6))
    model = sfx.qat.prepare(net, calibrate=x, train_zeros=True)
    events = torch.from_numpy(x).float().transpose(0, 1)
    y = torch.arange(len(x)) % 3
    for each in (net, model):
        torch.nn.functional.cross_entropy(each(events), y).backward()
    theirs = {n: q.grad for n, q in net.named_parameters() if n.endswith("weight")}
    mine = list(model.weights.values())
    assert len(mine) == len(theirs) == 3
    for (name, want), got in zip(theirs.items(), mine, strict=True):
        assert want is not None
        assert got.grad is not None
        assert want.count_nonzero() > 5, name
        a, b = want.ravel(), got.grad.ravel()
        assert torch.allclose(a / a.norm(), b / b.norm(), atol=1e-4), name


def test_biases_of_a_staircase_are_trained_and_kept(tmp_path: Any) -> None:
    model, x = prepared("graded")
    before = model.program()
    trained(model, x, 4)
    after = model.program()
    changed = [
        a.name
        for a, b in zip(before, after, strict=True)
        if isinstance(a.neuron, p.MultiLevel)
        and isinstance(b.neuron, p.MultiLevel)
        and not np.array_equal(
            np.broadcast_to(a.neuron.bias, a.shape), np.broadcast_to(b.neuron.bias, b.shape)
        )
    ]
    assert len(changed) > 3
    sfx.qat.save(model, tmp_path / "m.safetensors")
    again = sfx.qat.load(tmp_path / "m.safetensors")
    assert verify(again, x, program=after).equal


def test_the_comparison_can_fail() -> None:
    model, x = prepared("graded")
    program = model.program()
    wrong = next(q for q in program if isinstance(q.neuron, p.MultiLevel))
    assert isinstance(wrong.neuron, p.MultiLevel)
    other = replace(wrong, neuron=replace(wrong.neuron, up=tuple(u // 2 for u in wrong.neuron.up)))
    populations = tuple(other if q is wrong else q for q in program)
    found = verify(model, x, program=replace(program, populations=populations))
    assert not found.equal
    assert found.first is not None
    assert found.first[0] == wrong.name


def test_a_weight_that_could_overflow_is_scaled_back() -> None:
    model, x = prepared("over time")
    with torch.no_grad():
        for parameter in model.weights.values():
            parameter.copy_(torch.where(parameter > 0, 3.0, -3.0))
    assert verify(model, x).equal
    sfx.compile(model)


@pytest.mark.parametrize(
    ("up", "down", "ends"),
    [
        ((10, 29, 50), (), (0, 61)),  # thresholds of 20, halves at 10, 30, 50: the clamp 0..3
        ((4, 11, 20, 27), (), (0, 32)),  # of 8: 0..4
        ((4,), (-4,), (-9, 9)),  # levels of a half of 9: the clamp -1..1
        ((10,), (), (0, 21)),
    ],
)
def test_the_gradient_is_the_ramp_through_the_steps(
    up: tuple[int, ...], down: tuple[int, ...], ends: tuple[int, int]
) -> None:
    n = p.MultiLevel(up, down)
    x = torch.arange(-80.0, 80.0, requires_grad=True)
    sent = straight.staircase(x, n)
    assert sent.detach().numpy().tolist() == n.count(np.arange(-80, 80)).tolist()
    sent.sum().backward()
    assert x.grad is not None
    inside = (x >= ends[0]) & (x <= ends[1])
    assert torch.allclose(x.grad[inside], torch.tensor(1 / n.step))
    beyond = (x < ends[0] - 1) | (x > ends[1] + 1)
    assert not x.grad[beyond].any()
    rise = float(x.grad.sum())  # the ramp rises by as much as the staircase, and by its ends
    assert abs(rise - (len(up) + len(down))) <= 3.01 / n.step
