"""Which Programs Lava's processes compute: those of Loihi's widths, which are built into them."""

from __future__ import annotations

from ...toolchain.ground.arithmetic import LOIHI
from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Program


def loihis(program: Program) -> None:
    """Raise BackendError (SFX-E523) for a Program that Lava would compute with other numbers.

    Fewer bits of weights, thresholds, biases and payloads are a part of Loihi's; another state or
    decay is not, whether it is wider or narrower.
    """
    beyond = program.arithmetic.beyond(LOIHI)
    if beyond:
        raise BackendError(
            "SFX-E523",
            "the target of this model computes with other widths than Lava's processes, which are "
            f"Loihi's: {', '.join(beyond)}",
            where=program.name,
            hint="run it on the backends reference, fast or onnx, which take the target's widths",
        )
