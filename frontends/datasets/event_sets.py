"""N-MNIST, N-Caltech101, CIFAR10-DVS and ASL-DVS: one folder per class, one recording per file."""

from __future__ import annotations

from pathlib import Path

from ...toolchain.ground.errors import InputError
from ..events.aedat2 import SIZE, read_cifar10_dvs
from ..events.aedat4 import read_aedat4
from ..events.asl import SIZE as ASL
from ..events.asl import read_asl_dvs
from ..events.atis import NCALTECH101, NMNIST, read_ncaltech101, read_nmnist
from ..events.checked import inside
from ..events.events import Events
from .options import no_split
from .source import Source, held_out, of_files


def nmnist(root: Path, split: str | None, every: int) -> Source:
    """`Train/0/00002.bin`, ..., `Test/9/...`; or one folder of digits, then `every` splits it."""
    both = {"train": root / "Train", "test": root / "Test"}
    if not any(folder.is_dir() for folder in both.values()):
        return held_out(of_files(root, (".bin",), NMNIST, read_nmnist), split, every)
    if split not in both:
        raise no_split(split)
    source = of_files(both[split], (".bin",), NMNIST, read_nmnist)
    digits = tuple("0123456789")
    if source.classes != digits:
        raise InputError(
            "SFX-E135",
            f"has the folders {', '.join(source.classes)}",
            where=str(both[split]),
            hint="N-MNIST has one folder per digit, 0 to 9",
        )
    return source


def ncaltech101(root: Path, split: str | None, every: int) -> Source:
    """`Caltech101/accordion/image_0001.bin`, ...: no split of its own."""
    return held_out(of_files(root, (".bin",), NCALTECH101, read_ncaltech101), split, every)


def cifar10_dvs(root: Path, split: str | None, every: int) -> Source:
    """`airplane/cifar10_airplane_0.aedat`, ..., or `.aedat4`, as Tonic downloads them: no split."""
    source = of_files(root, (".aedat", ".aedat4"), SIZE, _read_cifar10_dvs)
    return held_out(source, split, every)


def _read_cifar10_dvs(file: Path) -> Events:
    if file.suffix.lower() == ".aedat":
        return read_cifar10_dvs(file)
    return inside(read_aedat4(file).events, SIZE, file)


def asl_dvs(root: Path, split: str | None, every: int) -> Source:
    """`a/a_0001.mat`, ..., `y/...`: no split of its own."""
    return held_out(of_files(root, (".mat",), ASL, read_asl_dvs), split, every)
