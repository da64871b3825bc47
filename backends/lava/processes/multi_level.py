"""`MultiLevel`: neurons that send how many levels their input has passed, as a payload.

A neuron program of ours (`toolchain/ir/neurons/multi_level.py`, integer semantics 2.4). Unlike a
library process it shows nothing about Intel's code; it lets the rest of a net run beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class MultiLevel(AbstractProcess):  # type: ignore[misc]  # Lava is untyped
    """s = (number of up with a + bias > up) - (number of down with a + bias < down).

    shape  (neurons,);  up, down  levels;  bias  [neurons]
    """

    def __init__(
        self, *, shape: tuple[int, ...], up: Sequence[int], down: Sequence[int], bias: Any
    ) -> None:
        super().__init__(shape=shape, up=tuple(up), down=tuple(down))
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.bias = Var(shape=shape, init=np.asarray(bias, np.int32))


@implements(proc=MultiLevel, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMultiLevelModel(PyLoihiProcessModel):  # type: ignore[misc]  # Lava is untyped
    """Receives, adds the bias, counts."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32)  # type: ignore[type-arg]

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._up, self._down = proc_params["up"], proc_params["down"]

    def run_spk(self) -> None:
        """One step."""
        v = self.a_in.recv().astype(np.int64) + self.bias
        sent = np.zeros(v.shape, np.int32)
        for level in self._up:
            sent += v > level
        for level in self._down:
            sent -= v < level
        self.s_out.send(sent)
