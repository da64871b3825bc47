"""Fits the integers of one LIF population to the calibration data.

The population must do on the integers it really receives what the float layer would do on them:
its target is the float layer's own spikes for that input, not those of the undisturbed model. (A
fit to the undisturbed spikes explains noise of the layers before by smaller weights; measured on
the digits net at 4 bits it doubles the error of the logits.) Where the undisturbed model agrees
with the target, a wrong spike counts twice.

1. scales: shares of the largest weight, rounded to the nearest;
2. compensated rounding at a few scales, the channels with exponents of their own at few bits,
   chosen by what a brief search leaves wrong;
3. the rounding search from the best of them.
Whatever leaves least wrong on all calibration samples is taken, so no step can make it worse
there. Steps 2 and 3 work on a sample of lanes and are left out where `effort` does not pay for
enough of them; the record says what was done.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .channel_search import Target, choose_headrooms, rounding_search
from .drafts import as_draft, compensated, rounders_of
from .lanes import weighted
from .lif import QuantizedLIF, best, simulate
from .mantissa import largest_gain
from .problem import Draft, Problem

Judge = Callable[[QuantizedLIF], int]
"""What is wrong on all calibration samples."""
HEADROOM_SEARCHES = 2
"""Gains at which channels choose their headroom by a search of their own."""


def fit(problem: Problem) -> tuple[QuantizedLIF, str]:
    """The population's integers, and what chose them."""
    options = problem.state.options
    weights_only = problem.state.lead is None or options.method == "naive"
    if options.method == "naive" and any(weighted(w) for w in problem.inputs.wires):
        widest = largest_gain(problem.real.weights, problem.bits)
        return problem.nearest(widest), "largest weight"
    target = None if weights_only else problem.target()

    def wrong(q: QuantizedLIF) -> int:
        assert target is not None
        spikes = simulate(q.neuron, problem.input_of(q), problem.state.arithmetic)
        missed = (spikes > 0) != (target > 0)
        return int(np.abs(target[missed]).sum(dtype=np.int64))

    start = best(
        problem.real,
        problem.bound,
        problem.form,
        None if weights_only else wrong,
        problem.bits,
    )
    if target is None or start.exact or not options.effort:
        return start, "scale"
    return _searched(problem, start, target, wrong)


def _searched(
    problem: Problem, start: QuantizedLIF, target: Target, wrong: Judge
) -> tuple[QuantizedLIF, str]:
    chosen, fewest, steps = start, wrong(start), ["scale"]
    draft, rounders = as_draft(problem, start), rounders_of(problem)
    drafts = _ranked(problem, compensated(problem, rounders), wrong)
    rechosen = [
        (choose_headrooms(problem, d, rounders, target), d)
        for _, d, _ in drafts[:HEADROOM_SEARCHES]
    ]
    drafts += _ranked(problem, [made for made, d in rechosen if made is not d], wrong)
    for count, made, q in drafts:
        if count < fewest:
            chosen, fewest, draft, steps = q, count, made, ["scale", "compensated"]
    better, changes = rounding_search(problem, draft, target)
    last = problem.integers_of(better) if changes else None
    if last is not None and wrong(last) < fewest:
        return last, ", ".join([*steps, f"{changes} flips"])
    return chosen, ", ".join(steps)


def _ranked(
    problem: Problem, drafts: list[Draft], wrong: Judge
) -> list[tuple[int, Draft, QuantizedLIF]]:
    """The legal drafts and their integers, least wrong first."""
    made = [(d, q) for d in drafts if (q := problem.integers_of(d)) is not None]
    return sorted(((wrong(q), d, q) for d, q in made), key=lambda m: m[0])
