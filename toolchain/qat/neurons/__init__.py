"""The torch rule of each neuron program that can be fine-tuned, one file each."""

from ...ir.kinds import Rules
from ..rules import NO_RULE, NeuronRule

RULES = Rules("fine-tuning", __name__, NeuronRule, NO_RULE)
