"""A compiled model beside the torch model it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sfx
from sfx.toolchain.app import api
from sfx.toolchain.ground.errors import InputError
from tests.unit.witness.nets import Net, chain, fire, lin

X = np.random.default_rng(0).integers(0, 2, (3, 8, 4))


def compiled(model: nn.Module) -> api.Bundle:
    """The model as a bundle."""
    return sfx.compile(sfx.export(model.eval(), torch.zeros(8, 1, 4)), calibrate=api.Data(X, None))


def deep(scale: float) -> Net:
    """Two layers, with weights that are representable (scale 0) or not."""
    rng = np.random.default_rng(1)
    weights = [rng.integers(-3, 5, (6, 4)) / 4, rng.integers(-3, 5, (5, 6)) / 4]
    weights = [w + scale * rng.normal(size=w.shape) for w in weights]
    return Net(
        lambda s, x: s.m(s.b(s.n(s.a(x)))), a=lin(weights[0]), n=fire(), b=lin(weights[1]), m=fire()
    )


def test_lossless_is_equal_and_must_be() -> None:
    model = deep(0.0)
    found = api.verify_torch(compiled(model), X, model)
    assert found.lossless
    assert found.equal
    assert found.compared == 3 * 8 * 11
    assert found.answers == 3
    assert found.populations[0].precision == found.populations[0].recall == 1.0


def test_rounded_agrees() -> None:
    model = deep(0.3)
    found = api.verify_torch(compiled(model), X, model)
    assert not found.lossless
    assert found.passed
    assert found.compared == 3 * 8 * 11
    assert all(p.recall is not None and p.recall > 0.5 for p in found.populations)


def test_a_difference_where_nothing_was_rounded_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from sfx.backends.fast.backend import FastBackend

    model = deep(0.0)
    bundle = compiled(model)
    before = FastBackend.layers

    def flipped(self: FastBackend, program: object, x: object) -> object:
        sent = before(self, program, x)  # type: ignore[arg-type]  # handed on
        sent["n"][0, 0, 0] ^= 1
        return sent

    monkeypatch.setattr(FastBackend, "layers", flipped)
    found = api.verify_torch(bundle, X, model)
    assert found.mismatches == 3
    assert not found.passed


def test_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="SFX-E710"):
        api.verify_torch(compiled(deep(0.0)), X, deep(0.1))


def test_the_command_needs_the_source(tmp_path: Path) -> None:
    from sfx.toolchain.app.commands.verify import _needed

    assert _needed(tmp_path) == tmp_path
    with pytest.raises(InputError, match="SFX-E713"):
        _needed(None)


def test_one_layer() -> None:
    model = chain(fire(), 0.5, 4)
    assert api.verify_torch(compiled(model), X, model).equal
