"""Graded: a read-out with weights."""

from . import Role

RULE = Role.READ_OUT
