"""Who may import whom (docs/architecture.md), read from the source: nothing is imported here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("toolchain", "frontends", "backends")

# Each layer: what it may import of ours beside itself. `errors` may be used everywhere. A layer
# is a folder or module of toolchain/, or one of the other root packages.
BASE = {"arith", "ir"}
COMPILER = BASE | {"targets"}
ALL = None
LAYERS: dict[str, set[str] | None] = {
    "errors": set(),
    "arith": set(),
    "ir": set(),
    "targets": BASE,
    "passes": COMPILER,
    "quantize": COMPILER,
    "mapping": COMPILER,
    "cost": COMPILER,
    "frontends": BASE,
    "backends": BASE,
}
