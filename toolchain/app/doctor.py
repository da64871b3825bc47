"""What is installed here, and what each part is needed for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import sfx


@dataclass(frozen=True)
class Part:
    """One part: found or not, and why it matters."""

    name: str
    found: bool
    needed: bool
    detail: str


_PARTS = (
    ("numpy", True, "everything"),
    ("nir", True, "reading and writing models"),
    ("torch", True, "importing PyTorch models"),
    ("norse", True, "the Spikeformer's neurons"),
    ("lava-nc", False, "verification against Lava (Python 3.10 only)"),
    ("onnxruntime", False, "verification against ONNX Runtime, the third witness"),
    ("matplotlib", True, "pictures and the report"),
)
COMMAND = ("sfx.toolchain.app.cli:main", "sfx_loihi:main")
"""What the command `sfx` of this project starts, by its earlier and its present distribution."""


def findings() -> list[Part]:
    """The parts of this installation. Lava is optional: without it all but verification works."""
    version = sys.version_info
    parts = [
        Part(
            "python",
            version >= (3, 10),
            True,
            f"{version.major}.{version.minor}"
            + ("" if version[:2] == (3, 10) else ", without Lava"),
        )
    ]
    for name, needed, purpose in _PARTS:
        try:
            parts.append(Part(name, True, needed, f"{metadata.version(name)}: {purpose}"))
        except metadata.PackageNotFoundError:
            parts.append(Part(name, False, needed, purpose))
    return parts


def clashes() -> list[str]:
    """What else is called `sfx` here: a registry has another project's library of that name.

    It is imported as `sfx` too, so installed beside ours it hides or overwrites it.
    """
    return [*_distributions(), *_packages()]


def _distributions() -> Iterator[str]:
    seen = set()
    for found in metadata.distributions(name="sfx"):
        if (found.metadata["Name"] or "").lower() != "sfx":
            continue  # a name that only begins alike
        place = str(found.locate_file(""))
        ours = any(e.value in COMMAND for e in found.entry_points if e.name == "sfx")
        said = f"{found.version} in {place}: " + (
            "this project under its earlier name"
            if ours
            else f"another project's ({found.metadata['Summary']})"
        )
        if said not in seen:
            seen.add(said)
            yield f"distribution sfx {said}; pip uninstall sfx, then install this project again"


def _packages() -> Iterator[str]:
    """Packages and modules of that name that lie on the module path besides the imported one."""
    imported = Path(sfx.__file__).resolve()
    for entry in dict.fromkeys(sys.path):
        for file in (Path(entry or os.curdir, "sfx", "__init__.py"), Path(entry, "sfx.py")):
            if file.is_file() and file.resolve() != imported:
                yield f"{file}: another `sfx` on the module path; remove its folder from it"
