"""The options that say how to quantize, shared by the commands that do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...ground.errors import InputError
from ...ground.toml import read_toml

if TYPE_CHECKING:
    from ...compiler.quantize.options import Options

BitsOpt = Annotated[int, typer.Option(min=2, max=8, help="Bits of each synaptic weight")]
LayerBitsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--bits-per-layer",
        metavar="NAME=B,...",
        help="Bits of single layers (may be repeated), or a .toml with a table [bits]",
    ),
]
MethodOpt = Annotated[
    str,
    typer.Option(
        help="calibrated (fitted on samples), or naive (scaled to the largest weight, then rounded)"
    ),
]
EffortOpt = Annotated[
    float,
    typer.Option(
        min=0, help="Effort of the search for the best rounding: 0 none, 1 quick, more takes longer"
    ),
]
CountsOpt = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Largest number of events per input and step (default: 1 if the samples have no more, "
        "else 255). A smaller bound leaves more bits for the membrane",
    ),
]
IntegerOpt = Annotated[
    str,
    typer.Option(
        "--integer-spikes",
        help="Neurons that send up to D spikes in a step (I-LIF, MultiSpike): graded (one number), "
        "slots (D binary spikes), or auto (graded where the target's spikes carry numbers)",
    ),
]


ProvedOpt = Annotated[
    bool,
    typer.Option(
        "--proved",
        help="Refuse a layer whose worst case fits no register (SFX-E310), instead of taking the "
        "range of its state from the calibration samples",
    ),
]
MarginOpt = Annotated[
    int,
    typer.Option(
        "--range-margin",
        min=0,
        max=10_000,
        metavar="PERCENT",
        help="How much wider such a range is than what the samples reached",
    ),
]
MARGIN = 100
"""Of `Options.range_margin`, which a command must not import before it runs."""


def quantize_options(
    bits: int,
    layers: list[str] | None,
    method: str,
    effort: float,
    counts: int | None = None,
    integer_spikes: str = "auto",
    ranges: tuple[bool, int] = (False, MARGIN),
) -> Options:
    """The options as given; ranges: proved, margin. Raises InputError (SFX-E324 to E329)."""
    from ...compiler.quantize.options import Options

    chosen: dict[str, int] = {}
    for text in layers or ():
        chosen |= from_file(Path(text)) if text.endswith(".toml") else _pairs(text)
    return Options(method, bits, chosen, effort, counts, integer_spikes, *ranges)


def _pairs(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for pair in text.split(","):
        name, _, value = pair.rpartition("=")
        if not name or not value.strip().isdigit():
            raise InputError(
                "SFX-E327",
                f"'{pair}' does not give a layer its bits",
                where="--bits-per-layer",
                hint="write NAME=B, such as blocks.0.attn.q.lif=4",
            )
        found[name.strip()] = int(value)
    return found


def from_file(path: Path) -> dict[str, int]:
    """The table [bits] of a TOML file: population or module = bits."""
    try:
        table = read_toml(path).get("bits")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("SFX-E327", f"cannot be read: {reason}", where=str(path)) from error
    if not isinstance(table, dict) or not all(type(v) is int for v in table.values()):
        raise InputError(
            "SFX-E327",
            "has no table [bits] of whole numbers",
            where=str(path),
            hint='write [bits] and then "blocks.0.attn.q.lif" = 4',
        )
    return dict(table)
