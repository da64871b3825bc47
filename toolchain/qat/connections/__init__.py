"""The torch rule of each kind of connection that can be fine-tuned, one file each."""

from ...ir.kinds import Rules
from ..rules import NO_RULE, ConnectionRule

RULES = Rules("fine-tuning", __name__, ConnectionRule, NO_RULE)
