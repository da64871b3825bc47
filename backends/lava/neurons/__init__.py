"""One population -> one of Lava's neuron processes, one file per neuron program."""

from ....toolchain.ir.kinds import Rules
from ..rules import NeuronRule

RULES = Rules("Lava", __name__, NeuronRule)
