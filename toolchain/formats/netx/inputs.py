"""What a lava-dl network does with a sample before its first neurons: weight x + bias.

netx reads both numbers from the input block (64 and 0 where they are absent: slayer's fixed point
of a plain input) and hands them to its user as `transform`; the user sets int(weight x + bias) as
the bias of the input neurons. So DATA of raw events and DATA of what netx was given both look like
whole numbers, and a file alone does not say which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.errors import InputError

RAW = "raw"
TRANSFORMED = "transformed"
KINDS = (RAW, TRANSFORMED)
"""DATA holds x, or int(weight x + bias) already."""
PLAIN = 64, 0
"""slayer's weight 1 and no bias, in its fixed point: what a block without parameters does."""


@dataclass(frozen=True)
class InputTransform:
    """The two whole numbers of an input block, as netx truncates them."""

    weight: int
    bias: int

    def __str__(self) -> str:
        return f"{self.weight} x + {self.bias}" if self.bias else f"{self.weight} x"


UNITY = InputTransform(1, 0)


def applied(transform: InputTransform, data: str | None, where: str) -> InputTransform:
    """What the Program does to DATA: the transform of raw samples, nothing to transformed ones.

    data  one of `KINDS`; None where the file leaves no doubt: raw for a plain input, whose events
          slayer scales itself
    Raises InputError (SFX-E173): no or an unknown answer where there must be one.
    """
    if data is not None and data not in KINDS:
        raise InputError("SFX-E173", f"is {data!r}, not {' or '.join(KINDS)}", where="net_input")
    if data == TRANSFORMED or transform == UNITY:
        return UNITY
    if data == RAW or (transform.weight, transform.bias) == PLAIN:
        return transform
    raise InputError(
        "SFX-E173",
        f"its input neurons take {transform} of a sample x, and the file does not say whether "
        "DATA holds x or that number",
        where=where,
        hint="give --net-input raw (net_input='raw' in Python) and it is applied, or transformed "
        "where DATA holds int(weight x + bias) already",
    )
