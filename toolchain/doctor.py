"""What is installed here, and what each part is needed for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata


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
