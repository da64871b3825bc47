"""Every published network is built by name from plain data, and gradients reach its weights."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.zoo.public_model import PublicModel  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

NAMES = [name for name in zoo.NAMES if name != "spikeformer"]  # this project's own
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("spikformer", {"dead_position": True}),
    ("spike_driven", {"dilate": True}),
    ("statten", {"dilate": True}),
    ("max_former", {"stem": "strided", "image_size": 32}),
    ("max_former", {"stem": "pooled", "image_size": 32}),
    ("sglformer", {"form": "units", "dim": 48}),
]


@pytest.mark.parametrize("name", NAMES)
def test_every_published_size_is_built_by_name_from_plain_data(name: str) -> None:
    table = getattr(importlib.import_module(f"sfx.frontends.zoo.{name}"), name.upper())
    assert table
    for config in table.values():
        with torch.device("meta"):
            model = zoo.build(name, json.loads(json.dumps(config.to_mapping())))
        assert isinstance(model, PublicModel)
        assert model.config == config
        assert config.model == name


@pytest.mark.parametrize(("name", "fields"), VARIANTS)
def test_gradients_reach_every_parameter_but_the_dead(name: str, fields: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = zoo.build(name, fields)
    assert isinstance(model, PublicModel)
    model, x = pub.awake(model)
    model.train()(x).square().sum().backward()
    parameters = dict(model.named_parameters())
    assert {n for n, p in parameters.items() if p.grad is None} == {
        n for n in parameters if model.keys.is_dead(n)
    }
