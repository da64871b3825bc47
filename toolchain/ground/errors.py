"""One tree of errors. Each carries code, place, rule, value against limit, and what to do instead.

`str(error)` is the whole message a user sees; `sfx` prints it without a traceback and ends with
`exit_status` (1 unequal or does not fit, 2 bad input or usage, 3 a needed part is missing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .shown import shown

MOST_TEXT = 2000
"""Characters of a rule and of a hint: they may list names."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what `SfxError` carries and `sfx check` lists.

    code   `SFX-Exxx`, explained by `sfx explain CODE`
    where  module path, node, population or file
    what   the rule and what broke it, one sentence, with the value and the limit
    hint   what to do instead

    The three may quote a stranger's file; `str` shows them on one line each, escaped.
    """

    code: str
    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        what = shown(self.what, MOST_TEXT)
        text = f"{self.code} {shown(self.where)}: {what}" if self.where else f"{self.code} {what}"
        return f"{text}\n  -> {shown(self.hint, MOST_TEXT)}" if self.hint else text


class SfxError(Exception):
    """Base of every error a user can cause. Carries one or more problems."""

    exit_status = 2
    during = ""
    """What was going on, if that helps: the pass of the compiler, and those that ran before it."""

    def __init__(self, code: str, what: str, *, where: str = "", hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(code, where, what, hint),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> SfxError:
        """One error that carries all of `problems`, so that a user sees them at once."""
        error = cls.__new__(cls)
        error.problems = tuple(problems)
        Exception.__init__(error, "\n".join(map(str, problems)))
        return error

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  {self.during}" if self.during else text

    @property
    def code(self) -> str:
        """Code of the first problem."""
        return self.problems[0].code


class InputError(SfxError):
    """The model, data or bundle cannot be used as it is (exit status 2)."""


class UnsupportedError(SfxError):
    """The model holds something that cannot be mapped (exit status 2)."""


class FitError(SfxError):
    """The Program does not fit the target (exit status 1)."""

    exit_status = 1


class MissingPartError(SfxError):
    """A needed part, such as Lava, is not installed here (exit status 3)."""

    exit_status = 3


class BackendError(SfxError):
    """A backend did not finish: timeout, crashed process, resource limit (exit status 3)."""

    exit_status = 3
