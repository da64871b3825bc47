"""Targets: numbers with their sources, one function per hardware rule, and the mesh."""

from sfx.toolchain.targets.load import load, names
from sfx.toolchain.targets.target import Limits, Quantity, Target

__all__ = ["Limits", "Quantity", "Target", "load", "names"]
