"""Intel's LIF models, unchanged, plus a copy of u and v to a file after every step.

`run_spk` is Intel's; the probe only reads the state that it left. So the step that is recorded
is the step that Intel's library computes (tests compare the copy with Intel's own Monitor).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc

PROBE = "sfx_probe"
"""proc_params key: (path of an int32 .npy [steps, 2, neurons of all LIFs], first column)."""


class Probe:
    """Opens the file in the model's own OS process and writes u and v of one step."""

    def __init__(self, proc_params: Any) -> None:
        path, self._start = proc_params[PROBE]
        self._file = np.load(path, mmap_mode="r+")

    def write(self, step: int, u: Any, v: Any) -> None:
        """What Lava's step `step` (from 1) left."""
        columns = slice(self._start, self._start + u.size)
        self._file[step - 1, 0, columns] = u
        self._file[step - 1, 1, columns] = v


class Probed:
    """Before a model of LIF or LI among its bases: every step ends with the copy."""

    time_step: int
    u: Any
    v: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]  # the model's
        self._probe = Probe(proc_params)

    def run_spk(self) -> None:
        """The model's step, then the copy."""
        super().run_spk()  # type: ignore[misc]  # the model's
        self._probe.write(self.time_step, self.u, self.v)


class PyProbedLif(Probed, PyLifModelBitAcc):  # type: ignore[misc]  # Lava is untyped
    """LIF with a probe."""


class PyProbedLifReset(Probed, PyLifResetModelBitAcc):  # type: ignore[misc]  # Lava is untyped
    """LIFReset with a probe."""
