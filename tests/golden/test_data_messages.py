"""What a user reads who converts the wrong thing: one message per mistake, as text."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample, shape
from sfx.toolchain.ground.errors import InputError
from tests.golden.test_golden import golden  # noqa: F401  # the fixture
from tests.unit.datasets.sets import SETS


def mistakes(root: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """(what was done, a call that is refused)."""
    for name, write in SETS.items():
        write(root / name)
    good = {name: root / name for name in SETS}

    def use(name: str, path: Path, frames: Frames | None = None, **options: object) -> object:
        source = find(name, path, **options)  # type: ignore[arg-type]  # as the command does
        frames = frames or Frames(2)
        return shape(source, frames), sample(source, 0, frames)

    yield "an unknown data set", lambda: use("cifar", root)
    yield "no split named", lambda: use("nmnist", good["nmnist"])
    yield "no such folder", lambda: use("ncaltech101", root / "none")
    yield "a folder of something else", lambda: use("cifar10-dvs", good["mnist"])
    yield "N-Caltech101 as N-MNIST", lambda: use("nmnist", good["ncaltech101"])
    yield "a split that is none", lambda: use("cifar10-dvs", good["cifar10-dvs"], split="val")
    yield (
        "no sample for the test",
        lambda: use("cifar10-dvs", good["cifar10-dvs"], split="test", every=1),
    )
    yield "gestures without lists", lambda: use("dvs-gesture", root, split="train")
    yield (
        "a crop larger than the sensor",
        lambda: use("nmnist", good["nmnist"], Frames(2, crop=(35, 35)), split="test"),
    )
    yield (
        "MNIST resized",
        lambda: use("mnist", good["mnist"], Frames(2, size=(32, 32)), split="test"),
    )
    yield (
        "a sample that is too large",
        lambda: use("nmnist", good["nmnist"], Frames(1 << 20, size=(512, 512)), split="test"),
    )
    yield "no steps", lambda: Frames(0)
    yield "an unknown binning", lambda: Frames(2, by="events")
    yield "no duration", lambda: Frames(2, duration=0)
    yield "a size of none", lambda: Frames(2, size=(0, 3))

    labels = root / "dvs-gesture" / "user24_lab_labels.csv"
    text = labels.read_text()
    for what, wrong in (
        ("a gesture without events", text.replace("500000,600000", "700000,800000")),
        ("a class that is none", text.replace("11,", "12,")),
        ("a label file with words", text.replace("11,", "wave,")),
    ):

        def cut(wrong: str = wrong) -> object:
            labels.write_text(wrong)
            source = find("dvs-gesture", good["dvs-gesture"], split="test")
            return sample(source, 1, Frames(2))

        yield what, cut

    def overwritten(name: str, file: str, content: bytes, **options: object) -> object:
        (root / name / file).write_bytes(content)
        return use(name, root / name, **options)  # type: ignore[arg-type]  # as above

    images = root / "mnist" / "t10k-images-idx3-ubyte.gz"
    whole = gzip.decompress(images.read_bytes())
    yield (
        "a cut idx file",
        lambda: overwritten("mnist", images.name, gzip.compress(whole[:-9]), split="test"),
    )
    yield (
        "labels for images",
        lambda: overwritten(
            "mnist", images.name, gzip.compress(b"\0\0\x0d\3" + whole[4:]), split="test"
        ),
    )
    yield (
        "text for an image",
        lambda: overwritten("images", "val/n01/a.JPEG", b"hello", split="test"),
    )

    def foreign() -> object:
        np.savez(root / "other.npz", a=np.zeros(3))
        return use("mnist", root / "other.npz", split="test")

    yield "an npz of something else", foreign


def test_messages_of_data(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check = request.getfixturevalue("golden")
    found = []
    for what, call in mistakes(tmp_path):
        with pytest.raises(InputError) as raised:
            call()
        found.append(f"{what}\n{raised.value}\n".replace(str(tmp_path), "SETS"))
    check("data_messages", "\n".join(found))
