"""Targets: numbers with their sources, one function per hardware rule, and the mesh."""

from .load import load, names
from .target import Limits, Quantity, Target

__all__ = ["Limits", "Quantity", "Target", "load", "names"]
