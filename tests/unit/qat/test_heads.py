"""Classifiers of earlier blocks in fine-tuning: the source's own, on the Program's spikes."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")
pytestmark = pytest.mark.needs_torch

from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.training.loop import Training  # noqa: E402
from sfx.frontends.training.recipe import Recipe  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, settle_batch_norm  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.qat.model import Template  # noqa: E402
from tests.unit.training.nets import network, patterns  # noqa: E402


@functools.cache
def source(attention: str) -> Spikeformer:
    net = network(attention=attention, attention_scale=1.0, depth=3)
    x = torch.from_numpy(patterns(40).x).float().transpose(0, 1)
    settle_batch_norm(net, [x])
    return net


@functools.cache
def template(attention: str) -> Template:
    options = sfx.qat.Options(effort=0.1)
    return sfx.qat.prepare(
        source(attention), calibrate=patterns().x, options=options, check=False
    ).template


def model_of(attention: str) -> sfx.qat.QatModel:
    return sfx.qat.QatModel(template(attention))


@pytest.mark.parametrize("attention", ["joint", "divided"])
def test_heads_are_the_source_s_own_on_the_program_s_spikes(attention: str) -> None:
    """The source itself, whose neurons send what the Program's do, gives the same logits."""
    net = copy.deepcopy(source(attention))
    model = model_of(attention)
    x = torch.from_numpy(patterns(12, 1).x).float().transpose(0, 1)
    sent = model.spikes(x)

    def in_place(name: str) -> object:
        def send(module: nn.Module, given: object, own: Tensor) -> Tensor:
            return sent[name].reshape(own.shape)

        return send

    neurons = {n: m for n, m in net.named_modules() if isinstance(m, MultiStep)}
    for name, module in neurons.items():
        module.register_forward_hook(in_place(name))
    with torch.no_grad():
        wanted = net.train()(x)
        beside = sfx.qat.with_heads(model, source(attention)).train()
        found = beside(x)
        last = beside.eval()(x)
    assert len(found) == len(wanted) == 3
    for mine, theirs in zip(found[:-1], wanted, strict=False):
        assert theirs.std() > 0.01
        assert torch.allclose(mine, theirs, atol=1e-6)
    assert torch.equal(found[-1], last)
    assert torch.equal(last, model(x))
    assert (found[-1] - wanted[-1]).abs().max() < 0.05 * wanted[-1].abs().max(), "8-bit weights"


def test_heads_train_the_blocks_before_them_and_are_not_saved(tmp_path: Path) -> None:
    net = source("joint")
    model = model_of("joint")
    beside = sfx.qat.with_heads(model, net).train()
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    x = torch.from_numpy(patterns(8, 1).x).float().transpose(0, 1)
    early, *_ = beside(x)
    early.sum().backward()
    reached = {n for n, p in beside.named_parameters() if p.grad is not None and p.grad.any()}
    assert any("blocks/0/mlp/fc2" in n for n in reached)
    assert "heads.0.read.classifier.fc.weight" in reached
    assert not any("blocks/1" in n or "output" in n for n in reached)
    beside.zero_grad()
    recipe = Recipe(3, 20, 5e-3, "adam", blocks=(0.5, 0.5, 1.0), activity=0.1, settle="no")
    run = Training(beside, patterns(80), recipe, steps=3)
    list(run)
    run.finish()
    assert run.epochs[-1].loss < run.epochs[0].loss
    assert 0 < run.epochs[-1].activity < 2
    assert not torch.equal(beside.heads[0].read.classifier.fc.weight, net.classifiers[0].fc.weight)
    assert all(torch.equal(v, kept[k]) for k, v in net.state_dict().items())
    assert sfx.qat.verify(model, patterns(8, 1).x).equal
    sfx.qat.save(model, tmp_path / "tuned.safetensors")
    again = sfx.qat.load(tmp_path / "tuned.safetensors")
    assert set(again.state_dict()) == set(model_of("joint").state_dict())
    assert torch.equal(again(x), beside.eval()(x))


def test_heads_of_one_s_own() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(16, 4)

        def forward(self, hidden: Tensor) -> Tensor:
            return self.fc(hidden.mean((0, 2)))

    model = model_of("joint")
    head = sfx.qat.Head(Mean(), ["blocks.0.mlp.fc1.lif"])
    beside = sfx.qat.Supervised(model, [head]).train()
    x = torch.from_numpy(patterns(8, 1).x).float().transpose(0, 1)
    wanted = head.read.fc(model.spikes(x)["blocks.0.mlp.fc1.lif"].mean((0, 2)))
    assert torch.equal(beside(x)[0], wanted)
    assert np.isfinite(wanted.detach().numpy()).all()


def test_what_has_no_other_head_is_refused() -> None:
    model = model_of("joint")
    for given, code in (
        (network(depth=1), "SFX-E369"),
        (nn.Linear(1, 1), "SFX-E369"),
        (network(depth=5), "SFX-E368"),
    ):
        with pytest.raises(InputError) as error:
            sfx.qat.with_heads(model, given)
        assert error.value.code == code
