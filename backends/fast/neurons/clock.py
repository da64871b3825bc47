"""Clock: marks the end of every sample, or of every group of its steps."""

from ..rules import Host

RULE = Host()
