"""The smallest synaptic memory within an accuracy budget: bits chosen layer by layer.

Starts from what sensitivity says (the layers that mind least, per bit saved, get few bits first)
and refines with Optuna's tree-structured Parzen estimator (Bergstra et al. 2011). Trials are
quick: scales only. What is returned was counted again as `sfx compile` will do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.errors import MissingPartError
from .judge import Judge, Score
from .sensitivity import Sensitivity

CHOICES = (2, 3, 4, 5, 6, 8)
LADDER = (6, 5, 4, 3, 2)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Found:
    """Bits per layer, their score as compiled, and how many choices were tried."""

    layers: Mapping[str, int]
    score: Score
    tried: int


def search(
    judge: Judge,
    ranked: Sequence[Sensitivity],
    allowed: int,
    trials: int,
    progress: Progress = lambda done, total: None,
) -> Found:
    """The smallest memory at which at most `allowed` samples fewer are right than in float.

    Raises MissingPartError (SFX-E550) without Optuna. Full bits everywhere are returned if nothing
    smaller keeps the budget.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "SFX-E550",
            "the mixed-precision search needs optuna, which is not installed",
            hint="pip install 'optuna>=4.0'",
        ) from error
    names = [s.population for s in sorted(ranked, key=_cost)]
    least = judge.float_right - allowed
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for start in ladder(names)[: max(trials // 2, 1)]:
        study.enqueue_trial(start)
    done = 0

    def objective(trial: Any) -> float:
        nonlocal done
        score = judge.score({n: trial.suggest_categorical(n, CHOICES) for n in names})
        done += 1
        progress(done, trials)
        # Over the budget: worse than any memory, and the more so the more is lost.
        over = max(least - score.right, 0)
        return score.memory + over * judge.score({}).memory

    study.optimize(objective, n_trials=trials)
    ordered = sorted(
        (t for t in study.trials if t.value is not None), key=lambda t: float(t.value or 0)
    )
    for trial in ordered[:5]:
        final = judge.score(dict(trial.params), effort=judge.options.effort)
        if final.right >= least:
            return Found(dict(trial.params), final, done)
    return Found({}, judge.score({}, effort=judge.options.effort), done)


def _cost(s: Sensitivity) -> float:
    """Error per bit of memory saved: the cheapest first."""
    return s.error / s.saved if s.saved else float("inf")


def ladder(names: Sequence[str]) -> list[dict[str, int]]:
    """Starting points, cheapest layers first: all at one width, then each step half-way down."""
    out: list[dict[str, int]] = []
    above = 8
    for bits in LADDER:
        half = len(names) // 2
        out.append({n: bits if i < half else above for i, n in enumerate(names)})
        out.append(dict.fromkeys(names, bits))
        above = bits
    return out
