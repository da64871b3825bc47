"""One population's neuron program -> nodes (integer semantics, section 2). One file per program."""

from ....toolchain.ir.kinds import Rules
from ..forms import NeuronForm

RULES = Rules("ONNX", __name__, NeuronForm)
