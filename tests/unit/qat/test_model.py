"""Fine-tuning a Spikeformer: every value equals the Program's, before, during and after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.frontends.zoo.statten import Statten, StattenConfig  # noqa: E402
from sfx.toolchain.app.api import Source  # noqa: E402
from sfx.toolchain.ground.errors import InputError, UnsupportedError  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.ir.check_program import check_program  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from sfx.toolchain.qat.verify import verify  # noqa: E402
from tests.unit.qat.nets import (  # noqa: E402
    T,
    events,
    labels,
    prepared,
    spikeformer,
    time_first,
    train,
)
from tests.unit.zoo import published as pub  # noqa: E402


def test_before_training_it_is_what_compile_gives() -> None:
    samples = events(16, seed=3)
    model = prepared()
    net = spikeformer()
    source = Source(export(net, net.example_input()), "model", "", samples)
    expected = sfx.compile(source, options=sfx.qat.Options(effort=0.2)).program
    got = sfx.compile(model).program
    for a, b in zip(expected.projections, got.projections, strict=True):
        assert (a.name, a.weight_exp, a.delay) == (b.name, b.weight_exp, b.delay)
        if isinstance(a.connection, p.Conv2d | p.Dense):
            assert np.array_equal(a.connection.weight, b.connection.weight), a.name
    for q, r in zip(expected, got, strict=True):
        assert (q.name, q.shape, q.low, q.high, q.phase) == (
            r.name,
            r.shape,
            r.low,
            r.high,
            r.phase,
        )
        if isinstance(q.neuron, p.LIF):
            assert np.array_equal(q.neuron.bias_mant, r.neuron.bias_mant), q.name
    assert expected.readout == got.readout


@pytest.mark.parametrize(
    ("attention", "causal", "bits", "rate"),
    [("joint", True, 8, 3e-3), ("spatial", True, 3, 2e-2), ("joint", False, 2, 4e-2)],
)
def test_trained_spikes_are_program_spikes(
    attention: str, causal: bool, bits: int, rate: float
) -> None:
    model, x = prepared(attention, causal, bits), events()
    before = model.program()
    losses = train(model, x, labels(), steps=12, rate=rate)
    assert min(losses[-3:]) < losses[0]
    after = model.program()
    moved = [
        a.name
        for a, b in zip(before.projections, after.projections, strict=True)
        if isinstance(a.connection, p.Conv2d)
        and not np.array_equal(a.connection.weight, b.connection.weight)
    ]
    assert len(moved) >= 8, "the weights hardly moved"
    unseen = events(5, seed=9)
    found = verify(model, unseen)
    assert found.equal
    assert found.silent == ()
    assert found.compared == 5 * T * sum(q.size for q in after)


def test_the_comparison_can_fail() -> None:
    model, x = prepared(), events(3)
    program = model.program()
    lif = next(q for q in program if isinstance(q.neuron, p.LIF) and q.neuron.reset)
    other = replace(lif, neuron=replace(lif.neuron, vth=lif.neuron.vth // 2))
    populations = tuple(other if q is lif else q for q in program)
    found = verify(model, x, program=replace(program, populations=populations))
    assert not found.equal
    assert found.first is not None
    assert found.first[0] == lif.name
    with pytest.raises(InputError, match="no sample"):
        verify(model, x[:0])  # nothing compared is not equal


def test_logits_are_the_read_out() -> None:
    model, x = prepared(), events()
    program = model.program()
    logits = model(time_first(x)).detach().numpy()
    sums = ReferenceBackend().layers(program, x)[program.readout.population].sum(1)
    expected = (sums + np.array(program.readout.offset)) / program.readout.scale
    assert np.array_equal(logits, expected.astype(np.float32))


def test_every_parameter_gets_a_gradient() -> None:
    model = prepared()
    torch.nn.functional.cross_entropy(model(time_first(events())), labels()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_attention_is_contracted_and_recorded() -> None:
    model = prepared()
    contracted = set(model._plan.contractions)
    products = {q.name for q in model.template.program if "product" in q.name}
    assert products
    assert {j.split("->")[0] for j in contracted} == products
    spikes = model.spikes(time_first(events(2)))
    assert all(spikes[name].any() for name in products)


def test_weights_that_could_overflow_are_scaled_back() -> None:
    """Latents at their ends: the sums could leave the registers; `forward` settles them first."""
    model, x = prepared(), events(3)
    with torch.no_grad():
        for parameter in model.weights.values():
            parameter.copy_(torch.where(parameter > 0, 3.0, -3.0))
    train(model, x, labels(3), steps=1, rate=1e-3)
    check_program(model.program(), balanced=False)
    largest = [float(w.detach().abs().max()) for w in model.weights.values()]
    assert max(largest) <= 1
    assert min(largest) < 0.9, "no layer had to shrink"
    assert verify(model, x).equal


def test_autocast_and_float64_input_change_nothing() -> None:
    model, x = prepared(), time_first(events(3))
    with torch.no_grad():
        plain = model(x)
        with torch.autocast("cpu"):
            assert torch.equal(model(x), plain)
        assert torch.equal(model(x.double()), plain)


@pytest.mark.parametrize(
    ("x", "what"),
    [
        (torch.zeros(T, 2, 2, 8, 9), "shape"),
        (torch.zeros(2, T, 2, 8, 8), "shape"),
        (torch.full((T, 2, 2, 8, 8), 0.5), "whole"),
        (torch.full((T, 2, 2, 8, 8), 2.0), r"0\.\.1"),
        (torch.full((T, 2, 2, 8, 8), float("nan")), "whole"),
    ],
)
def test_input_that_is_no_events_is_refused(x: torch.Tensor, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        prepared()(x)
    assert error.value.code == "SFX-E361"


def test_what_has_no_torch_rule_is_refused_by_name() -> None:
    model = prepared()

    class Strange(p.NeuronProgram):
        pass

    program = model.template.program
    last = replace(program.populations[-1], neuron=Strange(), module="head.strange")
    template = replace(
        model.template, program=replace(program, populations=(*program.populations[:-1], last))
    )
    with pytest.raises(UnsupportedError, match="Strange") as error:
        QatModel(template)
    assert error.value.code == "SFX-E360"
    assert "head.strange" in str(error.value)


def test_samples_are_needed() -> None:
    with pytest.raises(InputError, match="calibrat") as error:
        sfx.qat.prepare(spikeformer())
    assert error.value.code == "SFX-E362"


def test_a_soft_reset_is_trained_too() -> None:
    """A subtracting reset is several populations in a loop, with a clock and lags."""
    from norse.torch import LIFBoxCell, LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract
    from torch import nn

    from sfx.frontends.neurons.multistep import MultiStep

    torch.manual_seed(0)
    parameters = LIFBoxParameters(
        tau_mem_inv=torch.as_tensor(500.0),
        v_th=torch.as_tensor(1.0),
        reset_method=reset_subtract,
    )
    first, second = nn.Linear(12, 16), nn.Linear(16, 4)
    with torch.no_grad():
        first.weight.mul_(8)
        first.bias.fill_(0.2)

    class Mean(nn.Module):
        def forward(self, logits: torch.Tensor) -> torch.Tensor:
            return logits.mean(0)

    net = nn.Sequential(first, MultiStep(LIFBoxCell(parameters, dt=1e-3)), second, Mean())
    x = (np.random.default_rng(0).random((8, 5, 12)) < 0.4).astype(np.int64)
    model = sfx.qat.prepare(net, calibrate=x)
    assert any(j.lag for j in model.template.program.projections)
    train(model, x, torch.arange(8) % 4, steps=6, rate=3e-3)
    found = verify(model, x)
    assert found.equal
    assert found.silent == ()


def test_attention_over_groups_of_steps_equals_its_program() -> None:
    """A clock that ticks at the end of every group of steps, and a gradient through it."""
    config = StattenConfig(image_size=8, dim=16, mlp_ratio=1.0, num_classes=4)
    net, x = pub.awake(pub.seeded(Statten, config), shifts=(-0.5, 1.0))
    samples = x.transpose(0, 1).numpy().astype(np.int64)
    model = sfx.qat.prepare(net, calibrate=samples)
    assert [q.neuron.every for q in model.program() if isinstance(q.neuron, p.Clock)] == [2]
    model.train()(x).square().sum().backward()
    reached = [w.grad is not None and bool((w.grad != 0).any()) for w in model.parameters()]
    assert len(reached) > 10
    assert all(reached)
    found = verify(model.eval(), samples)
    assert found.equal
    assert found.silent == ()
