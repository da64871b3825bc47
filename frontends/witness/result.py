"""What the first witness found, as the manifest keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Witness:
    """The model and its float graph on the same samples. `checked` False: the user left it out.

    samples      compared;  source  where they came from: calibration, example, drawn
    neurons      of all compared populations;  populations  neuron modules' calls, one node each
    compared     values: spikes and currents of every neuron and step, and the output
    spikes       of torch, over the compared neurons
    differ       values that differ by more than rounding: 0, or compiling ended there
    ties         spikes that differ where torch's membrane is at the threshold within its rounding
    end_to_end   spikes that differ where the graph runs on its own, after such ties
    silent       populations that never fired: nothing is shown there
    unmatched    what could not be compared, and why
    lowered      values of the neuron form compared with the same record
    """

    checked: bool
    source: str = ""
    samples: int = 0
    populations: int = 0
    neurons: int = 0
    compared: int = 0
    spikes: int = 0
    differ: int = 0
    ties: int = 0
    end_to_end: int = 0
    silent: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    lowered: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of what was left out nothing else."""
        if not self.checked:
            return {"checked": False}
        return asdict(self) | {"silent": list(self.silent), "unmatched": list(self.unmatched)}
