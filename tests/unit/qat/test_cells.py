"""Neurons that are several populations are fine-tuned as the one neuron that they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from tests.unit.qat.cells import (  # noqa: E402
    KINDS,
    Feedforward,
    Recurrent,
    Residual,
    Shared,
    body,
    prepared,
    samples,
)
from tests.unit.qat.nets import train  # noqa: E402


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_what_is_saved_can_be_read_and_compiles_to_the_same_bytes(
    kind: type, options: dict[str, Any], tmp_path: Path
) -> None:
    model = prepared(kind(**options))
    train(model, samples(), torch.arange(32) % 5, steps=2, rate=1e-3)
    file = tmp_path / "tuned.safetensors"
    sfx.qat.save(model, file)
    expected = body(model, tmp_path)
    assert body(file, tmp_path) == expected
    assert body(sfx.qat.load(file), tmp_path) == expected


LABELS = torch.arange(32) % 5


def held(model: QatModel, names: list[str]) -> list[np.ndarray]:
    """What wires of these names hold, in units of their populations' inputs."""
    wires = {w.name: w for wires in model.wires.values() for w in wires}
    by_name = {j.name: j for j in model.program().projections}
    return [
        sum(by_name[j.name].connection.weights * 2.0**j.weight_exp for j in wires[n].parts)
        for n in names
    ]


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_training_starts_from_what_compile_gives(
    kind: type, options: dict[str, Any], bits: int
) -> None:
    net, x = kind(**options), samples()
    model = prepared(net, bits)
    expected = sfx.compile(net, calibrate=x, options=sfx.qat.Options(bits=bits, effort=0.1)).program
    got = sfx.compile(model).program
    assert [q.name for q in got] == [q.name for q in expected]
    assert [j.name for j in got.projections] == [j.name for j in expected.projections]
    for a, b in zip(got.projections, expected.projections, strict=True):
        assert a.weight_exp == b.weight_exp
        assert all(
            np.array_equal(v, w)
            for v, w in zip(a.connection.arrays, b.connection.arrays, strict=True)
        ), a.name


@pytest.mark.parametrize("rate", [2e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_the_copy_that_feeds_back_is_the_neuron(reset: str, rate: float) -> None:
    """At every rate the model compiles: the tick of the copy's end grows with what it outweighs."""
    model, x = prepared(Recurrent(reset)), samples()
    names = [k for k in model.weights if k.startswith("l1/feedback")]
    assert len(names) == 1, "one recurrent layer, one parameter"
    assert len([k for k in model.biases if k.startswith("l1")]) == 1
    losses = train(model, x, LABELS, steps=30, rate=rate)
    assert min(losses) < losses[0]
    spikes = model.spikes(torch.from_numpy(x).float().transpose(0, 1))
    assert torch.equal(spikes["l1"][:-1], spikes["l1.feedback"][:-1])
    assert spikes["l1"][:-1].any()
    assert spikes["l1"][-1].any(), "the neuron itself is not silenced"
    assert not spikes["l1.feedback"][-1].any()
    sfx.compile(model)
    found = sfx.qat.verify(model, x)
    assert found.equal
    assert found.compared > 10_000


def test_a_one_to_one_recurrence_stays_one() -> None:
    model = prepared(Recurrent(all_to_all=False))
    train(model, samples(), LABELS, steps=20, rate=1e-2)
    for j in model.program().projections:
        if j.pre == "l1.feedback" and isinstance(j.connection, p.Dense):
            weight = j.connection.weight
            assert np.array_equal(weight, np.diag(np.diag(weight)))
            assert np.count_nonzero(weight) >= 18


@pytest.mark.parametrize(
    ("kind", "copies"),
    [(Residual, ["input->n1", "input->n2"]), (Shared, ["n1->n2", "n2->n3"])],
)
def test_a_layer_that_is_read_twice_is_one_parameter(kind: type, copies: list[str]) -> None:
    model = prepared(kind())
    assert len(model.weights) == len([m for m in vars(kind())["_modules"] if m[0] in "fo"])
    before = np.corrcoef(*(w.ravel() for w in held(model, copies)))[0, 1]
    train(model, samples(), LABELS, steps=60, rate=2e-2)
    first, second = held(model, copies)
    assert before > 0.999
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.999
    assert sfx.qat.verify(model, samples()).equal


def pruned() -> Feedforward:
    net = Feedforward(reset_mechanism="zero")
    with torch.no_grad():
        net.f1.weight[torch.rand(net.f1.weight.shape) < 0.8] = 0
    return net


def test_pruned_weights_stay_zero_unless_they_are_asked_for() -> None:
    net = pruned()
    there = net.f1.weight.numpy(force=True) != 0
    for bits in (8, 4):
        model = prepared(net, bits)
        train(model, samples(), LABELS, steps=20, rate=1e-2)
        weight = model.weight(model.layers[0]).numpy(force=True)
        assert not weight[~there].any()
        assert np.count_nonzero(weight) > 0.8 * there.sum()
    model = sfx.qat.prepare(net, calibrate=samples(), train_zeros=True)
    train(model, samples(), LABELS, steps=20, rate=1e-2)
    assert np.count_nonzero(model.weight(model.layers[0]).numpy(force=True)) > 2 * there.sum()


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "options"),
    [(Feedforward, {}), (Recurrent, {"reset": "subtract"}), (Recurrent, {"reset": "zero"})],
)
def test_bits_that_are_asked_are_stored(
    kind: type, options: dict[str, Any], bits: int, tmp_path: Path
) -> None:
    model = prepared(kind(**options), bits)
    train(model, samples(), LABELS, steps=20, rate=2e-2)
    program = model.program()
    trained = {j.name for y in model.layers for w in y.wires for j in w.parts}
    checked = 0
    for j in program.projections:
        if j.name in trained:
            mantissas = j.connection.weights
            one_sign = mantissas.min() >= 0 or mantissas.max() <= 0
            assert not np.any(mantissas % (1 << (8 if one_sign else 9) - bits)), j.name
            checked += mantissas.size
    assert checked >= 340
    assert sfx.qat.verify(model, samples()).equal
    sfx.qat.save(model, tmp_path / "tuned.safetensors")
    same = sfx.qat.Options(bits=bits)
    assert sfx.compile(tmp_path / "tuned.safetensors", options=same).manifest["qat"]["weight_bits"]
    if bits > 2:
        for source in (tmp_path / "tuned.safetensors", model):
            with pytest.raises(InputError) as error:
                sfx.compile(source, options=sfx.qat.Options(bits=bits - 1))
            assert error.value.code == "SFX-E625"


@pytest.mark.parametrize("name", ["l1", "output"])
def test_bits_of_a_layer_are_asked_again_as_they_were_trained(name: str) -> None:
    options = sfx.qat.Options(bits=4, layers={name: 6}, effort=0.1)
    model = sfx.qat.prepare(Feedforward(), calibrate=samples(), options=options)
    assert set(model.template.bits.values()) == {4, 6}
    sfx.compile(model, options=options)
    for layers in ({}, {name: 5}, {name: 6, "l1.nothing": 6}):
        with pytest.raises(InputError) as error:
            sfx.compile(model, options=replace(options, layers=layers))
        assert error.value.code == "SFX-E625"
