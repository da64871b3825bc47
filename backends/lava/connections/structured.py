"""Structured: a sparse matrix."""

from ..rules import ConnectionRule

RULE = ConnectionRule()
