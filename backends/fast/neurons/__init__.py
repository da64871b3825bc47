"""How each neuron program is run, one file each."""

from ....toolchain.ir.kinds import Rules
from ..rules import NeuronRule

RULES = Rules("the fast backend", __name__, NeuronRule)
