"""The committed Spikeformer in ONNX Runtime, on real recordings: every spike, u and v."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from pathlib import Path  # noqa: E402  (after importorskip)

from sfx.toolchain.app import api  # noqa: E402

MODEL = Path(__file__).parents[3] / "examples" / "spikeformer" / "model.pt"


def test_onnx_agrees_on_every_value() -> None:
    source = api.load_model(MODEL)
    assert source.calibration is not None
    verdict = api.verify(
        api.compile(source, "loihi"), source.calibration[:3], against="onnx", states=True
    )
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == ()
    assert verdict.compared > 4_000_000
