"""How a sample becomes frames, as it is asked for: checked here, whichever set it is."""

from __future__ import annotations

from dataclasses import dataclass

from ...toolchain.ground.errors import InputError
from ..events.spikingjelly import RULES

BINS = ("time", "count", *RULES)
STEPS = 8
"""T of events and images unless one is asked for."""


@dataclass(frozen=True)
class Frames:
    """How a sample becomes uint8 [T, C, H, W].

    steps     T; None: that of the set's own frames, else 8
    by        events into steps by `time` or by `count`, or as SpikingJelly does it (`BINS`)
    duration  microseconds that the T steps share: later events are left out; None: each
              recording's own
    crop      (H, W) of the sensor's or image's middle to keep; None: all
    size      (H, W) of the frames; None: that of the crop
    """

    steps: int | None = None
    by: str = "time"
    duration: int | None = None
    crop: tuple[int, int] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Raises `InputError` SFX-E138 for a value that no data set could have."""
        if self.steps is not None and self.steps < 1:
            raise option(f"--steps is {self.steps}, less than 1")
        if self.by not in BINS:
            hint = f"--bin {', '.join(BINS[:-1])} or {BINS[-1]}"
            raise option(f"there is no binning by '{self.by}'", hint)
        if self.by in RULES and self.duration is not None:
            raise option(f"--bin {self.by} divides the whole recording", "leave --duration out")
        if self.duration is not None and self.duration < 1:
            raise option(f"--duration is {self.duration} us, less than 1")
        for name, pair in (("crop", self.crop), ("size", self.size)):
            if pair is not None and not (min(pair) >= 1 and max(pair) <= 4096):
                raise option(f"--{name} is {pair[0]}x{pair[1]}, outside 1..4096 pixels")


def option(what: str, hint: str = "") -> InputError:
    """The refusal of an option, SFX-E138."""
    return InputError("SFX-E138", what, hint=hint)


def no_split(split: str | None) -> InputError:
    """The refusal of a split that is not there."""
    what = "no split is named" if split is None else f"there is no split '{split}'"
    return option(what, "--split train or --split test")
