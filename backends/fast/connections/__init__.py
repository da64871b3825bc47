"""How each kind of connection is computed, one file each."""

from ....toolchain.ir.kinds import Rules
from ..rules import ConnectionRule

RULES = Rules("the fast backend", __name__, ConnectionRule)
