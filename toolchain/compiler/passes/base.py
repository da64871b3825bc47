"""The pass: a frozen dataclass whose fields are its options and whose `run` returns a new form.

A form is a float `Graph` or an integer `Program`. Every pass has a name and says what it requires
of a form and what it ensures; `run_passes` looks at both, so that an order which does not work is
found where it is written and not in what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ...ground.errors import SfxError
from ...ir.graph import Graph, Node
from ...ir.program import Program

Form = TypeVar("Form")


@dataclass(frozen=True)
class Condition:
    """Something that is true of a form, in words and as a check of it."""

    name: str
    holds: Callable[[Any], bool]


class Pass(Protocol[Form]):
    """One rewrite."""

    @property
    def name(self) -> str:
        """In messages, and of the file that `--dump-passes` writes after it."""
        ...

    @property
    def requires(self) -> tuple[Condition, ...]:
        """What must be true of the form that it gets: an earlier pass ensures it."""
        ...

    @property
    def ensures(self) -> tuple[Condition, ...]:
        """What is true of every form that it returns."""
        ...

    def run(self, form: Form, /) -> Form:
        """Return the rewritten form; never edits its argument."""
        ...


GraphPass = Pass[Graph]
Watch = Callable[[str, Graph | Program], None]
"""Receives the name of a step and what came out of it."""


def ignore(name: str, form: Graph | Program) -> None:
    """The watch of whoever does not look."""


class OrderError(Exception):
    """A pass did not get what it requires, or did not do what it ensures: a mistake of ours."""


@dataclass
class Trail:
    """The steps of one compilation so far, in order; `watch` sees what came out of each."""

    watch: Watch = ignore
    done: list[str] = field(default_factory=list)

    def add(self, name: str, form: Graph | Program) -> None:
        """The step `name` is done."""
        self.done.append(name)
        self.watch(name, form)

    def __str__(self) -> str:
        return f"[{', '.join(self.done)}]"


def run_passes(
    form: Form,
    passes: Sequence[Pass[Form]],
    check: Callable[[Form], None],
    trail: Trail | None = None,
) -> Form:
    """Run `passes` in order and `check` the form after each.

    Raises SfxError of the pass that cannot go on, which then says where it happened; OrderError if
    the passes do not fit each other.
    """
    trail = Trail() if trail is None else trail
    for p in passes:
        absent = [fact.name for fact in p.requires if not fact.holds(form)]
        if absent:
            raise OrderError(f"{p.name} after {trail} requires: {', '.join(absent)}")
        try:
            form = p.run(form)
            check(form)
        except SfxError as error:
            error.during = f"failed after {trail} in the pass {p.name}"
            raise
        broken = [fact.name for fact in p.ensures if not fact.holds(form)]
        if broken:
            raise OrderError(f"{p.name} after {trail} does not ensure: {', '.join(broken)}")
        assert isinstance(form, Graph | Program)
        trail.add(p.name, form)
    return form


def rewire(nodes: Sequence[Node], replaced: dict[str, str]) -> list[Node]:
    """`nodes` with every operand name in `replaced` exchanged, following chains of replacements."""

    def resolve(name: str) -> str:
        while name in replaced:
            name = replaced[name]
        return name

    return [replace(n, inputs=tuple(tuple(map(resolve, port)) for port in n.inputs)) for n in nodes]
