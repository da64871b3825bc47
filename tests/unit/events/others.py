"""Other people's code, where it can be imported: its own requirements may be missing or broken."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def imported(name: str) -> Any:
    """The module; without it, or where importing it fails in any way, the test is skipped."""
    try:
        return import_module(name)
    except Exception as error:  # torchvision raises RuntimeError where it does not fit torch
        pytest.skip(f"{name} cannot be imported: {' '.join(str(error).split())[:100]}")
