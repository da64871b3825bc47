"""What training scripts save beside the weights, as plain data: arguments, best scores, devices.

Each name here is answered by a function of ours that makes numbers, text or a dict of them. The
classes are never imported, so what they might do when they are built does not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .safe_pickle import Built, Malformed, Name, Record

RECORDS = frozenset(
    (
        "argparse Namespace",
        "types SimpleNamespace",
        "easydict EasyDict",
        "yacs.config CfgNode",
        "lightning_fabric.utilities.data AttributeDict",
        "lightning.fabric.utilities.data AttributeDict",
        "pytorch_lightning.utilities.parsing AttributeDict",
    )
)
"""Classes whose objects are names with values."""
DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128", "bool", "uint8"),
    *("int8", "int16", "int32", "int64"),
)
VALUES: Mapping[str, str] = {f"torch {name}": f"torch.{name}" for name in DTYPES}
"""Globals that are a value, as text."""
BUILTINS = ("__builtin__", "builtins")
NAMES = frozenset(f"{b} {n}" for b in BUILTINS for n in ("dict", "list", "set", "int", "float"))
"""Globals that are only given to a call: a defaultdict's factory."""
NUMBERS = {f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}
"""NumPy's types of one number."""


@dataclass
class _DType(Built):
    """A type of NumPy's while the pickle describes it. order: of its bytes."""

    kind: str
    order: str = "<"

    def build(self, state: Any) -> None:
        """Take NumPy's own description, of which the order of bytes matters."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise Malformed("a NumPy type of another byte order")
        self.order = "|" if state[1] == "|" else "<"


def _default_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if len(arguments) > 1 or not all(a is None or isinstance(a, Name) for a in arguments):
        raise Malformed("a defaultdict with other arguments than its factory")
    return {}


def _set(arguments: tuple[Any, ...]) -> list[Any]:
    if len(arguments) != 1 or not isinstance(arguments[0], list):
        raise Malformed("a set that is not made of a list")
    return list(arguments[0])


def _text(separator: str) -> Callable[[tuple[Any, ...]], str]:
    def joined(arguments: tuple[Any, ...]) -> str:
        if not arguments or not all(isinstance(a, str | int) for a in arguments):
            raise Malformed("a path or device that is not text")
        return separator.join(map(str, arguments)).replace("//", "/")

    return joined


def _dtype(arguments: tuple[Any, ...]) -> _DType:
    if len(arguments) != 3 or arguments[0] not in NUMBERS:
        raise Malformed("a NumPy type that is not one number")
    return _DType(arguments[0])


def _scalar(arguments: tuple[Any, ...]) -> int | float | bool:
    """A number of NumPy's: its type and its bytes."""
    if len(arguments) != 2 or not isinstance(arguments[0], _DType):
        raise Malformed("a NumPy number without its type")
    kind, data = arguments
    dtype = np.dtype(kind.order + kind.kind)
    if not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise Malformed("a NumPy number of another length than its type")
    if kind.kind == "b1" and data > b"\x01":
        raise Malformed("a NumPy boolean that is neither 0 nor 1")
    found: int | float | bool = np.frombuffer(data, dtype)[0].item()
    return found


def _record(arguments: tuple[Any, ...]) -> Record:
    if arguments:
        raise Malformed("an object with arguments, which would have to be called")
    return Record()


CALLS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    **dict.fromkeys(RECORDS, _record),
    "collections defaultdict": _default_dict,
    **{f"{b} {n}": _set for b in BUILTINS for n in ("set", "frozenset")},
    **{
        f"{module} {name}": _text("/")
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
    "torch device": _text(":"),
    "numpy dtype": _dtype,
    "numpy.core.multiarray scalar": _scalar,
    "numpy._core.multiarray scalar": _scalar,
}
"""Name in the pickle -> our function for it."""
