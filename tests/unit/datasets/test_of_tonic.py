"""Sets as Tonic downloads them: DVS128 Gesture cut already, CIFAR10-DVS in AEDAT 4.0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample, shape
from sfx.frontends.events.events import Events
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets.sets import rows
from tests.unit.events.files import aedat4, event_packet


def gesture(root: Path, name: str, seed: int) -> np.ndarray:
    """Numbers [M, 4] as Tonic loads them: x, y, polarity, milliseconds."""
    events = np.array(rows(seed, (128, 128)))
    found = np.stack([events[:, 0], events[:, 1], events[:, 2], events[:, 3] // 1000], 1)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    np.save(root / name, found.astype(np.float64))
    return found


def test_gestures_are_named_by_their_files(tmp_path: Path) -> None:
    for i, name in enumerate(("user01_led/10.npy", "user01_led/2.npy", "user02_lab/0.npy")):
        gesture(tmp_path / "ibmGestureTrain", name, i)
    expected = gesture(tmp_path / "ibmGestureTest", "user24_led/3.npy", 9)
    source = find("dvs-gesture", tmp_path, split="train")
    assert source.labels.tolist() == [10, 2, 0]
    test = find("dvs-gesture", tmp_path, split="test")
    assert shape(test, Frames(4, size=(32, 32))) == (4, 2, 32, 32)
    events = test.read(0)
    assert isinstance(events, Events)
    first = expected[:, 3].min()
    for column, name in enumerate("xyp"):
        assert getattr(events, name).tolist() == expected[:, column].tolist()
    assert events.t.tolist() == ((expected[:, 3] - first) * 1000).tolist()


def test_other_names_are_refused(tmp_path: Path) -> None:
    gesture(tmp_path / "ibmGestureTest", "user24_led/11.npy", 1)
    with pytest.raises(InputError, match="is not named after a class") as raised:
        find("dvs-gesture", tmp_path, split="test")
    assert raised.value.code == "SFX-E135"
    (tmp_path / "ibmGestureTrain").mkdir()
    with pytest.raises(InputError, match=r"holds no user\*/\*\.npy"):
        find("dvs-gesture", tmp_path, split="train")


def test_cifar10_dvs_in_aedat4(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers", reason="which writes the file")
    for i, name in enumerate(("airplane", "truck")):
        (tmp_path / name).mkdir()
        content = aedat4([(0, event_packet(rows(i, (128, 128), start=10**15)))])
        (tmp_path / name / "cifar10_0.aedat4").write_bytes(content)
    source = find("cifar10-dvs", tmp_path)
    assert source.classes == ("airplane", "truck")
    assert sample(source, 1, Frames(3)).sum() == 40
    wide = aedat4([(0, event_packet([(128, 0, 1, 5)]))])
    (tmp_path / "truck" / "cifar10_0.aedat4").write_bytes(wide)
    with pytest.raises(InputError, match="outside a sensor of 128x128"):
        sample(source, 1, Frames(3))
