"""LIF: CUBA neurons."""

from . import Role

RULE = Role.LAYER
