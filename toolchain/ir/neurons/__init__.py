"""Neuron programs, one file each: everything that is true of one whoever runs it.

`NEURONS` holds every dataclass that a file of this folder defines.
"""

from ..kinds import found
from .base import NeuronProgram

NEURONS: tuple[type[NeuronProgram], ...] = found(__name__, __path__, NeuronProgram)
