"""`LI`: Intel's LIFReset without its threshold; it sends its membrane v.

u and v are computed by Intel's model of LIF (`subthr_dynamics`); the reset before it and what is
sent after it are ours (integer semantics 2.6).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import AbstractPyLifModelFixed
from lava.proc.lif.process import LIFReset


class LI(LIFReset):  # type: ignore[misc]  # Lava is untyped
    """LIFReset whose s_out has v at every step. Parameters as there; vth is not used."""


@implements(proc=LI, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLIModel(AbstractPyLifModelFixed):  # type: ignore[misc]  # Lava is untyped
    """Resets, lets Intel's code compute u and v, sends v."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: int = LavaPyType(int, np.int32, precision=17)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._interval = proc_params["reset_interval"]
        self._offset = proc_params["reset_offset"] % self._interval

    def run_spk(self) -> None:
        """One step."""
        arrived = self.a_in.recv()
        if self.time_step % self._interval == self._offset:
            self.u[:] = 0
            self.v[:] = 0
        self.scale_bias()
        self.subthr_dynamics(activation_in=arrived)
        self.s_out.send(self.v)
