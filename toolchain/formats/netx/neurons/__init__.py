"""What netx has for each neuron program, one file each; all others are refused."""

from __future__ import annotations

from enum import Enum

from ....ir.kinds import Refused, Rules


class Role(Enum):
    """What a population is in a netx file."""

    INPUT = "the input"
    LAYER = "a layer"
    READ_OUT = "nothing: the host reads it out, if it is the last one"


RULES = Rules(
    "netx",
    __name__,
    Role,
    Refused("SFX-E642", "netx has LIF only", "export --to onnx holds every Program"),
)
