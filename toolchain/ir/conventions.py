"""What the frameworks mean by a NIR file: the facts about a neuron that the format cannot hold.

A file has time constants in seconds, but neither dt nor the order of events in a step. Sources:
the exporters' and importers' code of norse 1.1, snnTorch 1.0, SpikingJelly 2.0, sinabs 3.1.3, and
NIR's own script for Lava (docs, nir_to_lava.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sfx.toolchain.errors import InputError
from sfx.toolchain.ir import graph as g

RESETS = ("value", "zero", "subtract")


@dataclass(frozen=True)
class Convention:
    """One framework's reading.

    dt       seconds of a step, where neither the file nor an option says it
    tau      `seconds`, `steps` (v <- exp(-1/tau) v + x), or `norse-1.1`, whose exporter writes
             dt / tau_mem_inv for 1 / tau_mem_inv
    reached  fires on v >= threshold, not only above it
    start    v of a sample's start: `zero`, `reset` or `leak`
    reset    `value` (the file's v_reset) or `subtract`
    integers the fixed-point numbers of NIR's script for Lava: 12-bit decay, weights in 256ths
    """

    summary: str
    dt: float = 1e-3
    tau: str = "seconds"
    reached: bool = False
    start: str = "zero"
    reset: str = "value"
    integers: bool = False

    def decay(self, tau: float, dt: float) -> float:
        """Share of v that one step takes away; above 1 or below 0 where tau is too short."""
        if tau <= 0:
            return math.inf
        if self.tau == "steps":
            return -math.expm1(-1 / tau)
        return dt * dt / tau if self.tau == "norse-1.1" else dt / tau

    def neuron(self, op: g.LIF | g.IF, reset: str | None) -> g.LIF | g.IF:
        """The neuron that the framework runs. reset: one of `RESETS`, instead of its own."""
        if self.tau == "steps" and isinstance(op, g.LIF):
            op = replace(op, gain=op.gain / op.decay)
        kind = reset or (None if op.subtract else self.reset)
        if kind == "subtract":
            op = replace(op, subtract=True, reset=0.0)
        elif kind is not None:
            op = replace(op, subtract=False, reset=0.0 if kind == "zero" else op.reset)
        if self.start == "reset":
            op = replace(op, start=op.reset)
        elif self.start == "leak" and isinstance(op, g.LIF):
            op = replace(op, start=op.leak)
        if self.integers:
            op = _lava_integers(op)
        if self.reached:
            op = replace(op, threshold=math.nextafter(op.threshold, -math.inf))
        return op


def _lava_integers(op: g.LIF | g.IF) -> g.LIF | g.IF:
    """dv = int(4095 dt/tau), vth = int(131071 threshold) >> 9, weights int(256 w dt/tau)."""
    threshold = (int(131071 * op.threshold) >> 9) / 256
    op = replace(op, threshold=threshold, unit=256.0)
    if isinstance(op, g.IF):
        return op
    dv = max(1, int(4095 * op.decay)) / 4096
    du = max(1, int(4095 * op.syn)) / 4096 if op.syn < 1 else 1.0
    return replace(op, decay=dv, syn=du, gain=op.gain * op.decay / dv, w_in=op.w_in * op.syn / du)


CONVENTIONS: dict[str, Convention] = {
    "nir": Convention("NIR's equations: forward Euler, fires above the threshold, v from 0"),
    "norse": Convention("norse: dt 1e-3, v from v_leak", start="leak"),
    "norse-1.1": Convention(
        "files that norse 1.1.0 wrote: as norse, its wrong factor dt in tau undone",
        tau="norse-1.1",
        start="leak",
    ),
    "snntorch": Convention("snnTorch: dt 1e-4 (its v_reset never says 'subtract': --reset)", 1e-4),
    "spikingjelly": Convention(
        "SpikingJelly: dt 1e-4, fires at the threshold, v from v_reset",
        1e-4,
        reached=True,
        start="reset",
    ),
    "sinabs": Convention(
        "sinabs with SingleSpike: tau in steps, fires at the threshold, subtracts it",
        tau="steps",
        reached=True,
        reset="subtract",
    ),
    "lava": Convention(
        "NIR's script for Lava: dt 1e-4, its integers", 1e-4, reset="value", integers=True
    ),
}
"""Name -> what the framework means. `nir` where nothing else is said."""


@dataclass(frozen=True)
class NirOptions:
    """How to read a NIR file that does not say it itself.

    convention  a name of `CONVENTIONS`; None: `nir`
    dt          seconds of a step, before what the file and the convention say
    reset       one of `RESETS`, before what the file and the convention say
    """

    convention: str | None = None
    dt: float | None = None
    reset: str | None = None

    def __post_init__(self) -> None:
        """Raises InputError SFX-E217 for a name that does not exist or a dt that is no time."""
        if self.convention is not None and self.convention not in CONVENTIONS:
            raise InputError(
                "SFX-E217",
                f"no convention {self.convention!r}",
                hint="one of: "
                + "; ".join(f"{name} ({c.summary})" for name, c in CONVENTIONS.items()),
            )
        if self.reset is not None and self.reset not in RESETS:
            hint = f"one of: {', '.join(RESETS)}"
            raise InputError("SFX-E217", f"no reset {self.reset!r}", hint=hint)
        if self.dt is not None and not (math.isfinite(self.dt) and self.dt > 0):
            raise InputError("SFX-E217", f"dt is {self.dt:g}, must be positive seconds")

    @property
    def rules(self) -> Convention:
        """The convention itself."""
        return CONVENTIONS[self.convention or "nir"]
