"""What `sfx quantize` prints: accuracy and memory, sensitivity, the bits that were found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..compiler.precision.judge import Judge, Score
from ..compiler.precision.search import Found
from ..compiler.precision.sensitivity import Sensitivity
from .units import share

KIB = 8192
"""Bits."""


def score_line(judge: Judge, score: Score) -> str:
    """Float and integer accuracy, and the memory of the weights."""
    count = len(judge.y)
    real, whole = (share(right / count, 2) for right in (judge.float_right, score.right))
    return (
        f"float     {real}  ({judge.float_right} of {count} samples)\n"
        f"integers  {whole}  ({score.right} of {count}), "
        f"{score.memory / KIB:,.1f} KiB of weights"
    )


def sensitivity_table(ranked: Sequence[Sensitivity]) -> Table:
    """The most sensitive layer first."""
    bits = ranked[0].bits if ranked else 0
    title = f"Sensitivity: one layer at {bits} bits, all others at theirs"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("population", overflow="fold")
    for name in ("accuracy lost", "read-out error", "saves KiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for s in ranked:
        cells = (f"{100 * s.lost:+.2f} points", f"{s.error:+.4f}", f"{s.saved / KIB:.2f}")
        table.add_row(s.population, *cells)
    return table


def found_table(judge: Judge, found: Found, full: Score) -> Group:
    """Bits of every layer, and what they save and cost."""
    count = len(judge.y)
    title = (
        f"{found.score.memory / KIB:,.1f} KiB instead of {full.memory / KIB:,.1f}: "
        f"{share(found.score.right / count, 2)} ({found.score.right} of {count}), "
        f"the best of {found.tried} choices"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("population", overflow="fold")
    table.add_column("bits", justify="right")
    rounded = set(judge.layers())
    for record in judge.records:
        if record.population in rounded:
            bits = found.layers.get(record.population, record.weight_bits)
            table.add_row(record.population, str(bits))
    return Group(Text(title), table)
