"""What a backend refuses before it starts: data and Programs that it cannot execute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..toolchain.ground.arith import IntArray, as_int
from ..toolchain.ground.errors import InputError, SfxError, UnsupportedError
from ..toolchain.ir.kinds import Rules
from ..toolchain.ir.program import Input, Program


def events(program: Program, x: ArrayLike) -> IntArray:
    """x [K, T, *input shape] as int64. Raises InputError (SFX-E510, SFX-E511).

    Values are 0/1 for a binary input, 0..2^payload_bits - 1 for counts, of either sign if signed.
    """
    p = program.input
    expected = (program.timesteps, *p.shape)
    array = np.asarray(x)
    if array.ndim == 0 or array.shape[1:] != expected or len(array) == 0:
        raise InputError(
            "SFX-E510",
            f"events have shape {array.shape}, the input population takes [samples >= 1, "
            f"{', '.join(map(str, expected))}]",
            where=p.name,
            hint="samples first, then the T model steps, then the input's shape",
        )
    assert isinstance(p.neuron, Input)
    low, high = p.neuron.low, p.neuron.high
    try:
        with np.errstate(invalid="ignore"):  # NaN and infinity are refused, not warned of
            whole = array if array.dtype == np.int64 else as_int(array)  # it may be large
    except (ValueError, TypeError):
        raise _values(p.name, "values that are not whole numbers", low, high) from None
    if whole.min(initial=0) < low or whole.max(initial=0) > high:
        raise _values(p.name, f"values in {whole.min()}..{whole.max()}", low, high)
    return whole


def _values(where: str, got: str, low: int, high: int) -> InputError:
    return InputError(
        "SFX-E511",
        f"events hold {got}, the input population sends whole numbers {low}..{high}",
        where=where,
        hint="clip or bin the events; an input with payload_bits > 0 takes counts",
    )


def played(program: Program, records: Mapping[str, IntArray], steps: int) -> None:
    """Raises InputError (SFX-E513) unless there are 32-bit records [steps, *shape] of all Inputs.

    A replayed Input stands for a population of any kind, so its values may be negative and wide.
    """
    limit = np.iinfo(np.int32)
    for p in program:
        if not isinstance(p.neuron, Input):
            continue
        wanted, record = (steps, *p.shape), records.get(p.name)
        if record is None or record.shape != wanted:
            got = "no record" if record is None else f"a record of shape {record.shape}"
            raise InputError("SFX-E513", f"{got}, {wanted} is needed", where=p.name)
        if record.min(initial=0) < limit.min or record.max(initial=0) > limit.max:
            raise InputError("SFX-E513", "values do not fit 32 bits", where=p.name)


def kinds(program: Program, neurons: Rules[Any], connections: Rules[Any]) -> None:
    """Raises UnsupportedError with every population and projection of a kind that is refused."""
    problems = [q for p in program if (q := neurons.refusal(type(p.neuron), p.name))]
    problems += [
        q for j in program.projections if (q := connections.refusal(type(j.connection), j.name))
    ]
    if problems:
        raise UnsupportedError.of(problems)


def balanced(program: Program) -> None:
    """Raises SfxError (SFX-E512) unless every phase and delay is set."""
    unset = [p.name for p in program if p.phase < 0]
    unset += [j.name for j in program.projections if j.delay < 1]
    if unset:
        raise SfxError(
            "SFX-E512",
            "the pipelined Program needs a phase >= 0 of every population and a delay >= 1 of "
            f"every projection; {len(unset)} are not set",
            where=unset[0],
            hint="run the BalanceDelays pass first",
        )
