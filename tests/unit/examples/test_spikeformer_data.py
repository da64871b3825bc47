"""The recorded digits: one event per pixel, polarity and step, the same on every machine."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "spikeformer"

pytest.importorskip("sklearn")


def example(name: str) -> ModuleType:
    """The example's file `name` as a module."""
    spec = importlib.util.spec_from_file_location(f"spikeformer_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


data = example("data")


def naive(image: np.ndarray) -> np.ndarray:
    """One digit [8, 8] recorded pixel by pixel: uint8 [T, 2, 16, 16]."""
    corners = [(-1.0, -1.5), (0.0, 1.5), (1.0, -1.5), (-1.0, -1.5)]
    seen = [corners[0]]
    for (x0, y0), (x1, y1) in pairwise(corners):
        seen += [(x0 + (x1 - x0) * i / 8, y0 + (y1 - y0) * i / 8) for i in range(1, 9)]
    events = np.zeros((8, 2, 16, 16), np.uint8)
    for row in range(16):
        for column in range(16):
            level = brightness(image, column, row, *seen[0])
            for move, at in enumerate(seen[1:]):
                now = brightness(image, column, row, *at)
                if abs(now - level) > 16 / 6 + 1e-9:  # a sixth of the full range
                    events[move // 3, int(now > level), row, column] = 1
                    level = now
    return events


def brightness(image: np.ndarray, column: int, row: int, x: float, y: float) -> float:
    """Bilinear look-up in the image, enlarged by 3/2 and moved by (x, y), dark outside."""
    u, v = (column - 7.5 - x) / 1.5 + 3.5, (row - 7.5 - y) / 1.5 + 3.5
    weights_x = [max(0.0, 1 - abs(u - j)) for j in range(8)]
    weights_y = [max(0.0, 1 - abs(v - i)) for i in range(8)]
    return float(np.array(weights_y) @ image @ np.array(weights_x))


def test_the_recording_is_the_naive_camera() -> None:
    from sklearn.datasets import load_digits

    images = load_digits().images[[0, 700, 1796]]
    recorded = data.record(images)
    for events, image in zip(recorded, images, strict=True):
        np.testing.assert_array_equal(events, naive(image))
    assert recorded.sum() > 3 * 300


@pytest.mark.parametrize(
    ("split", "samples", "digest"),
    [("train", 1437, "a5845fccbd331076"), ("test", 360, "1fb115b5d51ff8e1")],
)
def test_the_splits_are_the_same_on_every_machine(split: str, samples: int, digest: str) -> None:
    recording = data.load(split)
    assert recording.x.shape == (samples, 8, 2, 16, 16)
    assert recording.x.dtype == np.uint8
    assert recording.y.dtype == np.int64
    assert set(np.unique(recording.x)) == {0, 1}
    assert recording.x.sum(axis=(3, 4)).min() > 0  # events in every sample, step and polarity
    assert hashlib.sha256(recording.x.tobytes()).hexdigest()[:16] == digest


def test_the_splits_part_the_digits() -> None:
    train, test = data.load("train"), data.load("test")
    assert np.bincount(test.y).tolist() == [36] * 10
    assert np.bincount(train.y, minlength=10).min() > 130
    seen = {x.tobytes() for x in train.x}
    assert not any(x.tobytes() in seen for x in test.x)


def test_the_command_writes_a_data_file(tmp_path: Path) -> None:
    from sfx.toolchain.data import read

    out, picture = tmp_path / "digits.npz", tmp_path / "digits.png"
    data.main([str(out), "--split", "test", "--limit", "5", "--picture", str(picture)])
    content = read(out)
    full = data.load("test")
    np.testing.assert_array_equal(content.x, full.x[:5])
    assert content.y is not None
    np.testing.assert_array_equal(content.y, full.y[:5])
    assert picture.read_bytes().startswith(b"\x89PNG")
    first = out.read_bytes()
    data.main([str(out), "--split", "test", "--limit", "5"])
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    "arguments",
    [[], ["o.npz", "--limit", "0"], ["o.npz", "--sample", "360"], ["o.npz", "--split", "x"]],
)
def test_wrong_arguments_are_usage_errors(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        data.main(arguments)
    assert raised.value.code == 2
    assert list(tmp_path.iterdir()) == []
