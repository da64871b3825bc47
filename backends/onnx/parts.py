"""Whether the packages that this backend needs are installed."""

from __future__ import annotations

from importlib.util import find_spec

from ...toolchain.ground.errors import MissingPartError


def missing(*packages: str) -> list[str]:
    """Those of `packages` that cannot be imported here."""
    return [name for name in packages if find_spec(name) is None]


def require(*packages: str) -> None:
    """Raise MissingPartError (SFX-E530) unless all of `packages` are installed."""
    absent = missing(*packages)
    if absent:
        raise MissingPartError(
            "SFX-E530",
            f"the onnx backend needs {' and '.join(absent)}, not installed here",
            hint="pip install 'onnx>=1.16' 'onnxruntime>=1.18'",
        )
