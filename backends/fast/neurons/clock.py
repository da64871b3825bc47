"""Clock: marks the end of every sample."""

from ..rules import Host

RULE = Host()
