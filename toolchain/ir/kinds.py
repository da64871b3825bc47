"""Kinds and the rules for them, each found by the name of its file.

A neuron program or a kind of connection is one class in one file of `ir/neurons` or
`ir/connection_kinds`. Whoever runs kinds has a folder with a file of the same name for each: the
reference's rule for `ir/neurons/lif.py` is `RULE` in `backends/reference/neurons/lif.py`. So a
new kind adds files and changes none, and one that is forgotten is an error that says where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Generic, TypeVar

from ..ground.errors import Problem, UnsupportedError

Kind = TypeVar("Kind")
Rule = TypeVar("Rule")


def found(package: str, path: Iterable[str], base: type[Kind]) -> tuple[type[Kind], ...]:
    """The subclasses of `base` that the files of a package define, in order of the file names.

    A class that is no dataclass is what several of them share (`Leaky`), and no kind.
    """
    modules = [import_module(f"{package}.{m.name}") for m in iter_modules(path)]
    return tuple(
        c
        for m in modules
        for c in vars(m).values()
        if isinstance(c, type)
        and issubclass(c, base)
        and "__dataclass_fields__" in vars(c)
        and c is not base
        and c.__module__ == m.__name__
    )


@dataclass(frozen=True)
class Refused:
    """Says why a backend does not run a kind: an error code, the reason, what to do instead."""

    code: str
    reason: str
    hint: str = ""

    def problem(self, backend: str, kind: type, where: str) -> Problem:
        """For people."""
        what = f"{backend} does not run {kind.__name__}: {self.reason}"
        return Problem(self.code, where, what, self.hint)


class Rules(Generic[Rule]):
    """What one backend does with each kind. `rules[kind]` is the `RULE` of the kind's file.

    backend    what messages call it
    package    its folder of rules, as a module's name
    otherwise  for kinds without a file; None: every kind needs one
    A file is read when its kind is first asked for, since it may import what is not installed.
    """

    def __init__(
        self, backend: str, package: str, rule: type[Rule], otherwise: Refused | None = None
    ) -> None:
        self.backend, self.package, self.rule, self.otherwise = backend, package, rule, otherwise
        self._known: dict[type, Rule | Refused] = {}

    def __getitem__(self, kind: type) -> Rule:
        """Raises UnsupportedError if the backend refuses the kind, TypeError if it forgot it."""
        rule = self.entry(kind)
        if isinstance(rule, Refused):
            raise UnsupportedError.of([rule.problem(self.backend, kind, "")])
        return rule

    def refusal(self, kind: type, where: str) -> Problem | None:
        """Why it does not run the kind, which a population or projection is of, or None."""
        rule = self.entry(kind)
        return rule.problem(self.backend, kind, where) if isinstance(rule, Refused) else None

    def entry(self, kind: type) -> Rule | Refused:
        """The rule, or why there is none. Raises TypeError for a kind without an entry."""
        if kind not in self._known:
            self._known[kind] = self._read(kind)
        return self._known[kind]

    def _read(self, kind: type) -> Rule | Refused:
        name = f"{self.package}.{kind.__module__.rpartition('.')[2]}"
        if find_spec(name) is None:
            if self.otherwise is None:
                raise TypeError(f"{self.backend} has no entry for {kind.__name__}: no {name}")
            return self.otherwise
        entry = getattr(import_module(name), "RULE", None)
        if not isinstance(entry, self.rule | Refused):
            raise TypeError(f"{self.backend} has no entry for {kind.__name__}: no RULE in {name}")
        return entry
