"""The rule of each kind of connection, one file each."""

from ....toolchain.ir.kinds import Rules
from ..types import ConnectionRule

RULES = Rules("the reference", __name__, ConnectionRule)
