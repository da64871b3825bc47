"""`Record`: a sink that writes what any number of OutPorts send, every step, to one .npy file.

`Var.get` moves one element per message (about 0.1 ms each), so reading a RingBuffer sink of a
whole network would take minutes. Writing to a memory-mapped file costs nothing, and one process
for all populations saves an OS process (20 to 50 ms of start) for each of them.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Sequence
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

PREFIX = "in_"


class Record(AbstractProcess):  # type: ignore[misc]  # Lava is untyped
    """Sink with in-ports in_0, in_1, ... of the given sizes.

    values  path of an int32 .npy [steps, sum of sizes]; row h gets what arrives at Lava step h+1
    clock   path of an int64 .npy [1]: the number of steps written so far
    """

    def __init__(self, *, sizes: Sequence[int], values: str, clock: str) -> None:
        super().__init__(sizes=tuple(sizes), values=values, clock=clock)
        for i, size in enumerate(sizes):
            setattr(self, f"{PREFIX}{i}", InPort(shape=(size,)))

    def port(self, index: int) -> InPort:
        """In-port number `index`."""
        return getattr(self, f"{PREFIX}{index}")


class _AnyNumberOfPorts(ABCMeta):
    """Declares in_0, in_1, ... on demand.

    Lava wants one class attribute per port, and refuses a declared port that the process lacks;
    the number of ports is known only when a Record is made.
    """

    def __getattr__(cls, name: str) -> Any:
        if name.startswith(PREFIX):
            return LavaPyType(PyInPort.VEC_DENSE, np.int32)
        raise AttributeError(name)


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecordModel(PyLoihiProcessModel, metaclass=_AnyNumberOfPorts):  # type: ignore[misc]
    """Receives every port once a step and writes one row."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._values = np.load(proc_params["values"], mmap_mode="r+")
        self._clock = np.load(proc_params["clock"], mmap_mode="r+")
        ends = np.cumsum(proc_params["sizes"]).tolist()
        self._columns = list(zip([0, *ends[:-1]], ends, strict=True))

    def run_spk(self) -> None:
        """Write this step's row, then count the step."""
        row = self._values[self.time_step - 1]
        for i, (start, stop) in enumerate(self._columns):
            row[start:stop] = getattr(self, f"{PREFIX}{i}").recv()
        self._clock[0] = self.time_step
