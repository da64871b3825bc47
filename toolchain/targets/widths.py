"""A Program and a target that it may not be made for: do its numbers mean the same there?"""

from __future__ import annotations

from dataclasses import replace

from ..ground.errors import FitError, Problem
from ..ir.program import Program
from .target import Target


def for_target(program: Program, target: Target) -> Program:
    """The same integers with the widths of `target`. Whether they fit is `check_program`'s.

    Raises FitError (SFX-E406) where states or decays of the target are others: each step would
    compute other numbers.
    """
    problem = other_widths(program, target)
    if problem is not None:
        raise FitError.of([problem])
    return replace(program, arithmetic=target.arithmetic)


def other_widths(program: Program, target: Target) -> Problem | None:
    """What makes a step compute other numbers on `target`, or None."""
    other = program.arithmetic.computes_otherwise(target.arithmetic)
    if not other:
        return None
    return Problem(
        "SFX-E406",
        program.name,
        f"the integers are for other widths than those of {target.name}: {', '.join(other)}",
        "compile the float model for this target, or leave the integers on one of their widths",
    )
