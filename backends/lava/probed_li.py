"""LI with a probe: not among `processes/`, whose files Lava executes without their package."""

from __future__ import annotations

from .processes.li import PyLIModel
from .processes.probe import Probed


class PyProbedLI(Probed, PyLIModel):
    """The model of LI, plus a copy of u and v to a file after every step."""
