"""Which of Lava's processes each kind of connection becomes, one file each; needs no Lava."""

from ....toolchain.ir.kinds import Rules
from ..rules import ConnectionRule

RULES = Rules("Lava", __name__, ConnectionRule)
