"""The kinds of files that sfx reads and writes: one row each, and every decision by suffix is here.

Nothing is imported for it: `sfx --help` lists the suffixes. A reader, an inspector and a writer
are named as "module:function" below the package `sfx` and looked up by the layer that may know
them, `toolchain/app`: what makes a network of weights needs torch, and this layer does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
SHARED = (".h5", ".hdf5")
"""Endings that say that a file is HDF5, not what is in it."""


class Holds(Enum):
    """What is in a file, and so what can be done with it."""

    BUNDLE = "a compiled model"
    GRAPH = "a float model as a graph"
    WEIGHTS = "the weights of a network"
    TRAINED = "a fine-tuned model, whose integers are fixed"
    INTEGERS = "a network of integers"


FLOAT = (Holds.GRAPH, Holds.WEIGHTS)
"""What can be quantized."""
MODELS = (*FLOAT, Holds.TRAINED, Holds.INTEGERS)
"""What `sfx compile` takes."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    name       unique; `sfx export --to NAME` where there is an `export`
    suffixes   endings of a file's name that choose it
    holds      what is in it
    what       its name in messages, such as "NIR graph"
    reader     function (path, ReadOptions) -> what the compiler takes of it, a `Source` or
               `Integers`; of a bundle (path) -> Bundle
    inspector  function (path, NirOptions | None) -> what is in the file, as text
    writer     function that writes such a file, "" where only other programs do; where there is
               an `export` it takes (Bundle, path, standard_only) and returns what it left out
    export     help of `sfx export --to NAME`, "" where it is not written that way
    begins     first bytes, b"" where they say nothing
    pickle     `--trust-pickle` is about such files
    convention `--nir-convention`, `--dt` and `--reset` say how it is read
    is_one     tells it by content from the formats below it with the same suffix
    group      of an HDF5 format: the group in its root that tells it where the name says only
               that (`SHARED`)
    """

    name: str
    suffixes: tuple[str, ...]
    holds: Holds
    what: str
    reader: str
    inspector: str
    writer: str = ""
    export: str = ""
    begins: bytes = b""
    pickle: bool = False
    convention: bool = False
    is_one: Callable[[Path], bool] | None = None
    group: str = ""

    def fits(self, path: Path) -> bool:
        """Whether the name of `path` ends as this format's files do."""
        if self.group and only_hdf5(path):
            return self.group in groups_of(path)
        return path.name.endswith(self.suffixes)

    @property
    def endings(self) -> tuple[str, ...]:
        """All endings of its files' names, also those that say less."""
        return self.suffixes + (SHARED if self.group else ())


def only_hdf5(path: Path) -> bool:
    """Whether the name says no more than that it is an HDF5 file."""
    return path.name.endswith(SHARED)


def groups_of(path: Path) -> tuple[str, ...]:
    """The names at the top of an HDF5 file; none if it cannot be read as one."""
    from .hdf5 import top

    return top(path)


def _is_fine_tuned(path: Path) -> bool:
    from .fine_tuned import is_fine_tuned

    return is_fine_tuned(path)


FORMATS: tuple[Format, ...] = (
    Format(
        "torch",
        (".pt", ".pth", ".ckpt", ".pth.tar"),
        Holds.WEIGHTS,
        "torch.save checkpoint",
        reader="toolchain.app.api.readers:network",
        inspector="toolchain.app.api.inspecting:tensors",
        begins=ZIP,
        pickle=True,
    ),
    Format(
        "fine-tuned",
        (".safetensors",),
        Holds.TRAINED,
        "fine-tuned model (sfx.qat)",
        reader="toolchain.app.api.readers:fine_tuned",
        inspector="toolchain.app.api.inspecting:tensors",
        writer="toolchain.qat.store:save",
        is_one=_is_fine_tuned,
    ),
    Format(
        "safetensors",
        (".safetensors",),
        Holds.WEIGHTS,
        "safetensors checkpoint",
        reader="toolchain.app.api.readers:network",
        inspector="toolchain.app.api.inspecting:tensors",
    ),
    Format(
        "nir",
        (".nir",),
        Holds.GRAPH,
        "NIR graph",
        reader="toolchain.app.api.readers:nir",
        inspector="toolchain.app.api.inspecting:nir",
        writer="toolchain.app.api.exporting:nir",
        export="the source graph",
        begins=HDF5,
        convention=True,
        group="node",
    ),
    Format(
        "onnx",
        (".onnx",),
        Holds.GRAPH,
        "ONNX model",
        reader="toolchain.app.api.readers:onnx",
        inspector="toolchain.app.api.inspecting:onnx",
        writer="toolchain.app.api.exporting:onnx",
        export="integer operators for ONNX Runtime",
    ),
    Format(
        "netx",
        (".net",),
        Holds.INTEGERS,
        "lava-dl network",
        reader="toolchain.app.api.readers:netx",
        inspector="toolchain.app.api.inspecting:netx",
        writer="toolchain.app.api.exporting:netx",
        export="a sequential model for lava-dl (.net)",
        begins=HDF5,
        group="layer",
    ),
    Format(
        "bundle",
        (".sfx",),
        Holds.BUNDLE,
        "compiled model",
        reader="toolchain.app.api.bundles:load",
        inspector="toolchain.app.api.inspecting:bundle",
        writer="toolchain.app.api.bundles:save",
        begins=ZIP,
    ),
)


def named(name: str) -> Format:
    """The row of this name."""
    return next(f for f in FORMATS if f.name == name)


def of(path: Path) -> Format | None:
    """The format of a file by its suffix, and by its content where two share one; None: unknown."""
    return next((f for f in FORMATS if f.fits(path) and (f.is_one is None or f.is_one(path))), None)


def stem(path: Path) -> str:
    """The name of a model file without its ending: "net" of net.pth.tar."""
    endings = sorted((s for f in FORMATS for s in f.suffixes), key=len, reverse=True)
    found = next((s for s in endings if path.name.endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(found)] or path.name


def with_(holds: Iterable[Holds]) -> list[Format]:
    """The formats that hold one of these, in the table's order."""
    wanted = tuple(holds)
    return [f for f in FORMATS if f.holds in wanted]


def suffixes(holds: Iterable[Holds] = Holds) -> str:
    """The suffixes of formats that hold one of these: ".pt, .nir or .net"."""
    return _listed(s for f in with_(holds) for s in f.endings)


def suffixes_of(formats: Iterable[Format]) -> str:
    """The suffixes of these formats that say what a file is: ".pt, .nir or .net"."""
    return _listed(s for f in formats for s in f.suffixes)


def _listed(words: Iterable[str]) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def described(holds: Iterable[Holds]) -> str:
    """Suffixes and what they are: ".nir (NIR graph), .net (lava-dl network)"."""
    return ", ".join(f"{', '.join(f.endings)} ({f.what})" for f in with_(holds))


def begins_as(path: Path) -> list[Format]:
    """The formats whose first bytes the file has; none if it cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(max(len(f.begins) for f in FORMATS))
    except OSError:
        return []
    return [f for f in FORMATS if f.begins and head.startswith(f.begins)]
