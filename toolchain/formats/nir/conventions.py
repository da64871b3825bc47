"""What the frameworks mean by a NIR file: the facts about a neuron that the format cannot hold.

A file has time constants in seconds, but neither dt, nor the order of events in a step, nor how a
neuron resets. What stands here is what the frameworks compute: norse 1.1.0, snnTorch 1.0.0,
SpikingJelly 2.0.0, sinabs 3.1.3, rockpool 3.1.0, spyx 1.0.0 (docs/conventions.md compares spikes),
and NIR's own script for Lava (docs, nir_to_lava.py). `nir_neurons` applies it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...ground.errors import InputError

RESETS = ("value", "zero", "subtract")


@dataclass(frozen=True)
class Convention:
    """One framework's reading.

    dt       seconds of a step, where neither the file nor an option says it
    tau      `seconds`: v loses dt / tau of itself in a step; `exponential`: 1 - exp(-dt / tau);
             `steps`: 1 - exp(-1 / tau); `norse-1.1`: tau is dt / tau_mem_inv, not 1 / tau_mem_inv
    whole    inputs that are added whole in a step, whatever r, dt and tau are: `IF`, `LIF` and `LI`
             to v (sinabs' ExpLeak is an LI: its norm_input is False by default, a LIF's is not),
             `current` and `membrane` of a CubaLIF to its i and v; a CubaLIF's `current` may also be
             `decayed`, added whole before i decays
    rounded  the numbers of the file were computed in float32 from what a step `keeps` of a state,
             or from what it `loses`
    reached  fires on v >= threshold, not only above it
    many     fires as often in a step as the threshold goes into v, at most `most` times if not 0
    late     spikes are of v before the step's input, so they leave one step later
    past_loops  the file leads what enters a recurrent layer through the loop's weights first
    start    v of a sample's start: `zero`, `reset` or `leak`
    reset    `value` (the file's v_reset), `zero` or `subtract` (the threshold)
    delayed  the reset takes place with the next step: what is subtracted is not decayed; a reset to
             zero leaves v at 0 for one step where there is a current or a loop
    again    a subtracting reset, after which a v above the threshold must pass it twice
    integers the fixed-point numbers of NIR's script for Lava: 12-bit decay, weights in 256ths
    tau_syn  time constant of the current of a LIF, which the file does not hold; 0: none
    bias     what every step adds to v, which the file does not hold
    floor    v is at least this after the reset, which the file does not hold
    choices  option of the framework's neuron, value -> what it changes; the first is the default
    numbers  option of the framework's neuron that is a number -> field of this class
    """

    summary: str
    dt: float = 1e-3
    tau: str = "seconds"
    whole: tuple[str, ...] = ()
    rounded: str = ""
    reached: bool = False
    many: bool = False
    late: bool = False
    past_loops: bool = False
    start: str = "zero"
    reset: str = "value"
    delayed: bool = False
    again: bool = False
    integers: bool = False
    tau_syn: float = 0.0
    bias: float = 0.0
    most: int = 0
    floor: float | None = None
    choices: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)


CONVENTIONS: dict[str, Convention] = {
    "nir": Convention("NIR's equations: forward Euler, fires above the threshold, v from 0"),
    "norse": Convention(
        "norse, reading a file: dt 1e-3, v from v_leak", whole=("IF",), start="leak"
    ),
    "norse-1.1": Convention(
        "files that norse 1.1.0 wrote: as norse, its wrong factor dt in tau undone",
        tau="norse-1.1",
        whole=("IF", "current"),
        rounded="loses",
        start="leak",
    ),
    "snntorch": Convention(
        "snnTorch: dt 1e-4, subtracts the threshold with the next step",
        1e-4,
        rounded="keeps",
        reset="subtract",
        delayed=True,
        choices={"reset_delay": {"true": {}, "false": {"delayed": False, "again": True}}},
    ),
    "spikingjelly": Convention(
        "SpikingJelly: dt 1e-4, fires at the threshold, v from v_reset",
        1e-4,
        reached=True,
        start="reset",
    ),
    "sinabs": Convention(
        "sinabs: tau in steps, fires at the threshold and as often as it fits, subtracts it",
        tau="steps",
        whole=("IF", "LI"),
        reached=True,
        many=True,
        reset="subtract",
        choices={
            "norm_input": {"true": {}, "false": {"whole": ("IF", "LIF", "LI")}},
            "spike_fn": {"MultiSpike": {}, "SingleSpike": {"many": False}},
        },
        numbers={"tau_syn": "tau_syn", "max_num_spikes_per_bin": "most", "min_v_mem": "floor"},
    ),
    "rockpool": Convention(
        "rockpool: dt from r, exponential decay, fires at the threshold and as often as it fits, "
        "subtracts it",
        tau="exponential",
        whole=("LIF", "LI", "decayed", "membrane"),
        rounded="keeps",
        reached=True,
        many=True,
        reset="subtract",
        most=65536,
        numbers={"max_spikes_per_dt": "most", "bias": "bias"},
    ),
    "spyx": Convention(
        "spyx: dt 1, spikes leave a step late, subtracts the threshold with the next step",
        1.0,
        whole=("IF", "LIF", "LI", "current", "membrane"),
        rounded="keeps",
        late=True,
        past_loops=True,
        reset="subtract",
        delayed=True,
    ),
    "lava": Convention("NIR's script for Lava: dt 1e-4, its integers", 1e-4, integers=True),
}
"""Name -> what the framework means. `nir` where nothing else is said."""


@dataclass(frozen=True)
class NirOptions:
    """How to read a NIR file that does not say it itself.

    convention  a name of `CONVENTIONS`, with options of the framework's neuron that differ from its
                defaults after a colon: `sinabs:norm_input=false,spike_fn=SingleSpike`; None: `nir`
    dt          seconds of a step, before what the file and the convention say
    reset       one of `RESETS`, or the number that v is reset to, before what the file and the
                convention say
    """

    convention: str | None = None
    dt: float | None = None
    reset: str | None = None

    def __post_init__(self) -> None:
        """Raises InputError SFX-E217 for a name that does not exist or a dt that is no time."""
        _parsed(self.convention)
        if self.reset is not None and self.reset not in RESETS and _number(self.reset) is None:
            hint = f"one of: {', '.join(RESETS)}; or the number that the membrane is reset to"
            raise InputError("SFX-E217", f"there is no reset {self.reset!r}", hint=hint)
        if self.dt is not None and not (math.isfinite(self.dt) and self.dt > 0):
            raise InputError("SFX-E217", f"dt is {self.dt:g}, but must be positive seconds")

    @property
    def reset_to(self) -> float | None:
        """The number that v is reset to, if the option is one."""
        return None if self.reset is None else _number(self.reset)

    @property
    def name(self) -> str:
        """The convention's name."""
        return (self.convention or "nir").partition(":")[0]

    @property
    def chosen(self) -> Mapping[str, str]:
        """Every option of the framework's neuron, those left at their default included."""
        return _parsed(self.convention)

    @property
    def rules(self) -> Convention:
        """The convention itself, the options of the framework's neuron applied."""
        rules = CONVENTIONS[self.name]
        for key, value in self.chosen.items():
            rules = replace(rules, **(_numbers(rules, key, value) or rules.choices[key][value]))
        return rules


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _numbers(rules: Convention, key: str, value: str) -> dict[str, Any]:
    """The field that a number changes; {} where the option is none or its number makes no sense."""
    name, number = rules.numbers.get(key), _number(value)
    if name is None or number is None:
        return {}
    if name != "most":
        return {name: number}
    return {"most": int(number)} if number >= 1 and number == int(number) else {}


def _parsed(text: str | None) -> dict[str, str]:
    """Option -> value of `NAME:option=value,...`. Raises InputError SFX-E217."""
    name, _, rest = (text or "nir").partition(":")
    if name not in CONVENTIONS:
        raise InputError(
            "SFX-E217",
            f"there is no convention {name!r}",
            hint="one of: " + "; ".join(f"{n} ({c.summary})" for n, c in CONVENTIONS.items()),
        )
    choices = CONVENTIONS[name].choices
    chosen = {key: next(iter(values)) for key, values in choices.items()}
    for part in rest.split(",") if rest else ():
        key, _, value = part.strip().partition("=")
        found = {v.lower(): v for v in choices.get(key, ())}.get(value.lower())
        if _numbers(CONVENTIONS[name], key, value):
            found = value
        if found is None:
            raise InputError("SFX-E217", f"{name} has no option {part.strip()!r}", hint=_hint(name))
        chosen[key] = found
    return chosen


def _hint(name: str) -> str:
    known = [f"{k}={'|'.join(v)}" for k, v in CONVENTIONS[name].choices.items()]
    known += [f"{k}=NUMBER" for k in CONVENTIONS[name].numbers]
    return f"{name} takes: {', '.join(known)}" if known else f"{name} takes no options"
