"""The user's model comes back bit for bit: states, flags, hooks, parameters, random numbers."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np
import pytest

for _library in ("norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

import snntorch as snn  # noqa: E402
import torch  # noqa: E402
from spikingjelly.activation_based import neuron  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.neurons.untouched import untouched  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from tests.unit.witness.nets import Net, fire, lin  # noqa: E402


def marked(model: nn.Module) -> dict[str, Any]:
    """Everything that a module holds, by path; tensors as their bytes and place."""
    found: dict[str, Any] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        for key, value in vars(module).items():
            if key != "_modules":
                found[f"{path}.{key}"] = _mark(value)
        found[f"{path}.children"] = {k: id(v) for k, v in module._modules.items()}
    return found


def _mark(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (id(value), value.detach().clone().numpy().tobytes())
    if isinstance(value, dict):
        return {k: _mark(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mark(v) for v in value]
    return value if isinstance(value, int | float | str | bool) else id(value)


class Busy(nn.Module):
    """Counts, appends, draws, keeps a buffer and writes into it."""

    def __init__(self) -> None:
        super().__init__()
        self.n = fire()
        self.leaky = snn.Leaky(beta=0.5, init_hidden=True)
        self.fc = lin([[1.0]])
        self.bn = nn.BatchNorm1d(1)
        self.register_buffer("seen", torch.zeros(1))
        self.count, self.log, self.last = 0, [1], None
        self.fail = False

    def forward(self, x: Tensor) -> Tensor:
        """A forward with every side effect there is."""
        y = self.n(self.bn(self.fc(x).flatten(0, 1)).reshape(x.shape))
        self.count += 1
        self.log.append(self.count)
        self.seen += 1
        self.last = y
        self.leaky(y[0])
        random.random()
        np.random.rand()  # noqa: NPY002  # what user code does
        torch.rand(1)
        self.fc.weight.data.mul_(2)
        if self.fail:
            raise RuntimeError("half way")
        return y


@pytest.mark.parametrize("fail", [False, True])
def test_everything_comes_back(fail: bool) -> None:
    model = Busy()
    model.train()
    model.bn.eval()
    model.n.register_forward_hook(lambda module, args, out: out)
    model(torch.ones(3, 2, 1))
    model.fail = fail
    before = marked(model)
    draws = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002  # theirs
    try:
        with untouched(model.modules(), values=True):
            model.eval()
            model(torch.ones(5, 2, 1))
    except RuntimeError:
        assert fail
    assert marked(model) == before
    assert random.getstate() == draws[0]
    assert np.random.get_state()[1].tobytes() == draws[1]  # noqa: NPY002  # theirs
    assert torch.equal(torch.get_rng_state(), draws[2])


def test_a_record_leaves_a_model_in_training_as_it_was() -> None:
    model = Net(lambda s, x: s.n(s.a(x)), a=lin([[0.5]]), n=neuron.IFNode(step_mode="m"))
    model.train()
    loss = model(torch.ones(4, 1, 1)).sum()
    loss.backward()  # the membrane carries a graph now
    gradient = model.a.weight.grad
    exported = traced(model, torch.zeros(8, 1, 1))
    before = marked(model)
    assert record(exported, np.ones((8, 1))).fired == {"n"}
    assert marked(model) == before
    assert model.a.weight.grad is gradient
    assert model.training


def test_a_model_that_is_refused_comes_back_too() -> None:
    node = neuron.IFNode(step_mode="m")
    model = Net(lambda s, x: s.n(s.a(x)), a=lin([[0.5]]), n=node)
    node.surrogate_function = nn.Module()
    node.surrogate_function.forward = lambda x: 3 * (x >= 0).float()
    model(torch.ones(3, 1, 1))
    before = marked(model)
    with contextlib.suppress(SfxError):
        sfx.export(model, torch.ones(8, 1, 1))
    assert marked(model) == before
