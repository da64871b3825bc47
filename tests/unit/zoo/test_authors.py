"""What the authors' own code made of seeded weights, and ours makes of them, in float64.

`authors.json` is written by `benchmarks/authors.py FOLDER --golden`, which ran their code: keys and
shapes of their state_dict, spikes of every neuron layer (count and hash), logits. A small network
of every file of theirs, every layer of which fires.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks.authors_seeds import digest, frames, state  # noqa: E402

from sfx.frontends.checkpoints.load import load_torch  # noqa: E402
from sfx.frontends.neurons.integer import MultiSpike  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.zoo.public_model import PublicModel  # noqa: E402
from tests.unit.zoo import published as pub  # noqa: E402

pytestmark = pytest.mark.needs_torch

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "authors.json").read_text())


def config_of(facts: dict[str, Any]) -> Any:
    module = importlib.import_module(f"sfx.frontends.zoo.{facts['model']}")
    config = getattr(module, facts["model"].upper())[facts["preset"]]
    return replace(config, **type(config).plain(facts["changes"]))


def shapes_of(facts: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Keys and shapes as the authors save them; a batch norm stands there as one of its five."""
    shapes: dict[str, tuple[int, ...]] = {}
    for key, shape in facts["shapes"].items():
        owner, _, field = key.rpartition(".")
        if field == "running_var":
            shapes |= {f"{owner}.{name}": tuple(shape) for name in pub.NORM[:-1]}
            shapes[f"{owner}.num_batches_tracked"] = ()
        else:
            shapes[key] = tuple(shape)
    return shapes


def loaded(facts: dict[str, Any], folder: Path) -> PublicModel:
    """Our network, read from a file with the authors' keys."""
    path = folder / "theirs.pt"
    weights = {k: torch.from_numpy(v) for k, v in state(shapes_of(facts)).items()}
    content = {"sfx": 1, "model": facts["model"], "config": config_of(facts).to_mapping()}
    torch.save(content | {"state_dict": weights}, path)
    model, _, _ = load_torch(path)
    assert isinstance(model, PublicModel)
    return model


def live(model: PublicModel, x: Any) -> PublicModel:
    """In float64, the batch norms' statistics those of x."""
    for module in model.double().modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.train()(x)
    return model.eval()


def sent(neuron: torch.nn.Module, output: torch.Tensor) -> Any:
    """Spikes of a layer: bool, or an integer neuron's whole numbers."""
    if isinstance(neuron, MultiSpike):
        return torch.round(output * neuron.norm).to(torch.uint8).numpy()
    return output.bool().numpy()


@pytest.mark.parametrize("title", FACTS)
def test_the_authors_spikes_and_logits(title: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    facts = FACTS[title]
    model = loaded(facts, tmp_path)
    assert sum(p.numel() for p in model.parameters()) == facts["parameters"]
    steps, _, *frame = model.input_shape
    x = torch.from_numpy(frames(1, steps, 2, *frame, events=facts["events"]))
    live(model, x[:, : facts.get("woken", 1)])
    neurons = {p: m for p, m in model.named_modules() if isinstance(m, (MultiStep, MultiSpike))}
    spikes = pub.seen(model, x, neurons)
    expected = {model.keys.rename(path): found for path, found in facts["spikes"].items()}
    assert set(spikes) == set(expected)
    for path, facts_of_layer in expected.items():
        found = digest(sent(neurons[path], spikes[path][1]))
        assert found == facts_of_layer, path
        assert found[0] > 0, path
    with torch.no_grad():
        for logits in (model(x), torch.cat([model(x[:, :1]), model(x[:, 1:])])):
            # the file has nine digits; sums in another order are off by far less in float64
            np.testing.assert_allclose(logits.numpy(), facts["logits"], rtol=1e-8, atol=1e-7)


def test_every_file_of_the_authors_is_here() -> None:
    from benchmarks.authors_cases import CASES

    run = {case.file for case in CASES.values()}
    assert {CASES[title].file for title in FACTS} == run
    assert len(run) == 26
