"""Neurons that are several populations are fine-tuned as the one neuron that they are."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from tests.unit.qat.cells import Feedforward, Recurrent, body, prepared, samples  # noqa: E402
from tests.unit.qat.nets import train  # noqa: E402


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Feedforward, {}),
        (Feedforward, {"reset_mechanism": "zero"}),
        (Recurrent, {"reset": "zero"}),
    ],
)
def test_what_is_saved_can_be_read_and_compiles_to_the_same_bytes(
    kind: type, options: dict[str, str], tmp_path: Path
) -> None:
    model = prepared(kind(**options))
    train(model, samples(), torch.arange(32) % 5, steps=2, rate=1e-3)
    file = tmp_path / "tuned.safetensors"
    sfx.qat.save(model, file)
    expected = body(model, tmp_path)
    assert body(file, tmp_path) == expected
    assert body(sfx.qat.load(file), tmp_path) == expected
