"""What a checkpoint holds, in words: its architecture, and every tensor's name, type and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from .read import read


def describe(path: Path) -> str:
    """One line per entry; nested names joined by dots. Raises InputError for what is unreadable."""
    content = read(path)
    if not isinstance(content, Mapping):
        return f"{path.name}: {type(content).__name__}\n"
    return "".join(f"{line}\n" for line in _lines("", content))


def _lines(prefix: str, content: Mapping[object, object]) -> Iterator[str]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Tensor):
            shape = "x".join(map(str, value.shape)) or "scalar"
            yield f"{name}: {str(value.dtype).removeprefix('torch.')} {shape}"
        elif isinstance(value, Mapping):
            yield from _lines(f"{name}.", value)
        else:
            yield f"{name}: {value!r}"
