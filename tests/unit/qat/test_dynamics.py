"""Thresholds, leaks and scales that are trained: legal at every moment, kept, and told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch
pytest.importorskip("snntorch")
pytest.importorskip("spikingjelly")

import sfx  # noqa: E402
from sfx.toolchain.formats.fine_tuned import TRAINED, USUAL  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError  # noqa: E402
from sfx.toolchain.ir.check_program import check_program  # noqa: E402
from sfx.toolchain.ir.program import LI, LIF  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from tests.unit.qat.cells import (  # noqa: E402
    CLASSES,
    INPUTS,
    Current,
    Feedforward,
    Recurrent,
    Shared,
    body,
    prepared,
    samples,
)


def first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float().transpose(0, 1)


def neuron(model: QatModel, name: str) -> Any:
    return model.program()[name].neuron


def test_unless_it_is_asked_nothing_is_another(tmp_path: Path) -> None:
    usual, more = prepared(Shared()), prepared(Shared(), train=TRAINED)
    assert {n.partition(".")[0] for n, _ in usual.named_parameters()} == set(USUAL)
    assert {n.partition(".")[0] for n, _ in more.named_parameters()} == set(TRAINED)
    assert body(usual, tmp_path) == body(more, tmp_path)
    x = first(samples())
    assert torch.equal(usual(x), more(x))
    formats = []
    for model in (usual, more):
        sfx.qat.save(model, tmp_path / "m.safetensors")
        header = (tmp_path / "m.safetensors").read_bytes()
        size = int.from_bytes(header[:8], "little")
        said = json.loads(json.loads(header[8 : 8 + size])["__metadata__"]["sfx"])
        formats.append((said["sfx"], said.get("train")))
    assert formats == [(3, None), (4, list(TRAINED))]
    with pytest.raises(InputError) as error:
        usual.load_state_dict(more.state_dict())
    assert error.value.code == "SFX-E366"


def test_they_are_trained_and_kept(tmp_path: Path) -> None:
    model, x = prepared(Shared(), train=TRAINED), samples()
    before = {n: neuron(model, n) for n in ("n1", "n2", "n3")}
    y = torch.arange(len(x)) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    losses = []
    for _ in range(20):
        losses.append(torch.nn.functional.cross_entropy(model(first(x)), y))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    after = {n: neuron(model, n) for n in before}
    assert all(after[n].vth != before[n].vth and after[n].dv != before[n].dv for n in before)
    assert all(abs(float(g.detach()) - 1) > 1e-3 for g in model.scales.values())
    found = sfx.qat.verify(model, samples(8, 5))
    assert found.equal
    assert found.silent == ()
    sfx.qat.save(model, tmp_path / "m.safetensors")
    again = sfx.qat.load(tmp_path / "m.safetensors")
    assert again.template.train == TRAINED
    assert torch.equal(again(first(x)), model(first(x)))
    assert body(tmp_path / "m.safetensors", tmp_path) == body(model, tmp_path)


@pytest.mark.parametrize("end", [-1e9, 1e9])
@pytest.mark.parametrize("kind", [Feedforward, Recurrent, Current])
def test_registers_hold_whatever_a_step_does(kind: Any, end: float) -> None:
    """Every parameter far out, and weights at the grid's ends: the current never wraps."""
    options = {} if kind is not Feedforward else {"reset_mechanism": "zero"}
    model = prepared(kind(**options), train=TRAINED)
    with torch.no_grad():
        for parameter in (*model.thresholds.values(), *model.leaks.values()):
            parameter.fill_(end)
        for gain in model.scales.values():
            gain.fill_(abs(end))
        for weight in model.weights.values():
            weight.copy_(weight.sign() * 3)
    program = model.program()
    check_program(program, balanced=False)
    n = program["l1"].neuron
    assert (n.vth, n.dv) == ((1, 4095) if end < 0 else ((1 << 17) - 1, 0))
    if kind is Current:
        assert n.du == (4095 if end < 0 else -1), "nothing of the current stays, or all"
    assert sfx.qat.verify(model, samples(6, 2)).equal
    settled = {k: v.clone() for k, v in model.state_dict().items()}
    model.settle()
    assert all(torch.equal(v, settled[k]) for k, v in model.state_dict().items())


def test_copies_that_feed_back_are_one_neuron() -> None:
    model = prepared(Recurrent(), train=TRAINED)
    assert list(model.thresholds) == list(model.leaks) == ["l1"]
    with torch.no_grad():
        model.thresholds["l1"].fill_(1.3)
        model.leaks["l1"].fill_(0.6)
    one, two = neuron(model, "l1"), neuron(model, "l1.feedback")
    assert (one.vth, one.dv) == (two.vth, two.dv)
    assert one.vth == round(1.3 * model.template.program["l1"].neuron.vth)
    assert one.dv == 4096 - round(0.6 * 4096)


def test_a_membrane_that_is_read_out_leaks_as_trained() -> None:
    import snntorch

    class ReadOut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.f1 = torch.nn.Linear(INPUTS, CLASSES)
            self.l1 = snntorch.Leaky(beta=0.9, reset_mechanism="none")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            membrane, out = self.l1.init_leaky(), []
            for step in x:
                _, membrane = self.l1(self.f1(step), membrane)
                out.append(membrane)
            return torch.stack(out).sum(0)

    options = sfx.qat.Options(effort=0.1)
    model = sfx.qat.prepare(  # without a neuron that fires nothing is compared with torch
        ReadOut(), calibrate=samples(), options=options, train=("weights", "leaks"), check=False
    )
    (name,) = [q.name for q in model.template.program if isinstance(q.neuron, LI)]
    model(first(samples())).square().sum().backward()
    (leak,) = model.leaks.values()
    assert abs(float(leak.grad)) > 0
    with torch.no_grad():
        leak.fill_(0.7)
    assert neuron(model, name).dv == 4096 - round(0.7 * 4096)
    assert sfx.qat.verify(model, samples(8, 3)).equal


def test_what_is_not_named_stays() -> None:
    model = prepared(Shared(), train=("thresholds", "leaks"))
    model(first(samples())).square().sum().backward()
    moved = {n.partition(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert moved == {"thresholds", "leaks"}


@pytest.mark.parametrize(
    ("train", "what"),
    [(("weights", "reset"), "reset"), ((), "nothing"), (("thresholds",), "thresholds")],
)
def test_what_cannot_be_trained_is_refused(train: tuple[str, ...], what: str) -> None:
    """A soft reset's threshold is also what the reset takes."""
    with pytest.raises(SfxError, match=what) as error:
        prepared(Feedforward(), train=train)
    assert error.value.code == "SFX-E371"


def test_neurons_without_a_membrane_keep_theirs() -> None:
    model = prepared(Feedforward(reset_mechanism="zero"), train=TRAINED)
    kept = {q.name for q in model.program() if isinstance(q.neuron, LIF) and not q.neuron.reset}
    assert not kept & set(model._dynamics)
    assert np.isfinite(model(first(samples())).detach().numpy()).all()
