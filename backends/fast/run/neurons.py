"""Neuron programs over all steps of many lanes: the kernels with their arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....toolchain.ground.errors import BackendError
from ....toolchain.ir.program import LIF, Population
from ..kernels import neurons as kernels
from ..layout import Values
from ..neurons import RULES
from ..neurons.lif import decays_of
from ..plan.neurons import PlannedNeurons
from ..rules import Resets, Sending, Settling, Stateless
from .state import State
from .tallies import Tally


def largest(a: Values) -> int:
    """Largest |a| of int32 values."""
    flat = a.reshape(-1)
    ends = np.zeros(-(-flat.size // (64 * kernels.BLOCK)), np.int32)
    kernels.largest(flat, ends)
    return int(ends.max(initial=0))


def steps(
    planned: PlannedNeurons,
    ports: Mapping[str, Values],
    state: State | None,
    resets: Resets,
    out: Values,
    tally: Tally,
    at: slice,
) -> None:
    """Fill out [B, S, size] from ports [B, S, size] each, updating `state`, steps `at` of `tally`.

    All in the tally's layout. No input is larger than planned. Raises BackendError (SFX-E541) if
    a value that is checked lies outside the declared range.
    """
    p = planned.population
    n = p.neuron
    events, active = tally.events[at], tally.active[at]
    if isinstance(n, LIF):
        assert state is not None
        assert planned.bias is not None
        kind = state.u.dtype
        a_in, bias = (a.astype(kind, copy=False) for a in (ports["a_in"], planned.bias))
        decays = decays_of(n, kind, planned.bound, planned.widths)
        run = kernels.lif_narrow if kind == np.int32 else kernels.lif
        run(
            a_in, state.u, state.v, bias, decays, resets.first,
            resets.every if n.reset else 0, out, events, active,
        )  # fmt: skip
        return
    rule = RULES[type(n)]
    ends = np.zeros((-(-p.size // kernels.BLOCK), 2), dtype=np.int64)
    to = Sending(out, events, active, ends, planned.bias)
    if isinstance(rule, Settling):
        rule.run(n, ports, to, resets, planned.widths)
    else:
        assert isinstance(rule, Stateless), "all others are run elsewhere"
        rule.steps(n, ports, to)
    low, high = int(ends[:, 0].min()), int(ends[:, 1].max())
    if planned.checked and (low < min(p.low, 0) or high > max(p.high, 0)):
        raise out_of_range(p, low, high)


class LeftRange(BackendError):
    """A measured range did not hold: sums may be wider than planned."""


def out_of_range(p: Population, low: int, high: int) -> BackendError:
    """What p sent is not in its declared range."""
    kind = LeftRange if p.counted else BackendError
    return kind(
        "SFX-E541",
        f"sends values in {low}..{high}, its declared range is {p.low}..{p.high}; sums are "
        "proved from the declared range",
        where=p.name,
        hint="correct the range, or use the reference backend",
    )
