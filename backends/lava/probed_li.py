"""LI with a probe: not among `processes/`, whose files Lava executes without their package."""

from __future__ import annotations

from typing import Any

from .processes.li import PyLIModel
from .processes.probe import Probe


class PyProbedLI(PyLIModel):
    """The model of LI, plus a copy of u and v to a file after every step."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._probe = Probe(proc_params)

    def run_spk(self) -> None:
        """Intel's step, then the copy."""
        super().run_spk()
        self._probe.write(self.time_step, self.u, self.v)
