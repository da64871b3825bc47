"""Input: the input layer."""

from . import Role

RULE = Role.INPUT
