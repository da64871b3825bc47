"""Input: the sample's events."""

from ..rules import Host

RULE = Host(lambda population, x: x)
