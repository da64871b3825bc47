"""What `sfx targets` prints: the list, or one target with the source of every number."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..compiler.mapping.place import needs
from ..ir.program import Program
from ..targets.load import ALIASES, load, names
from ..targets.rules import (
    CORE_RULES,
    POPULATION_RULES,
    PROJECTION_RULES,
    cores_available,
    neuron_groups,
    text_of,
)
from ..targets.target import Quantity
from .units import si


def target_list() -> RenderableType:
    """One row per listed target."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("name", "system"):
        table.add_column(name, no_wrap=True)
    for name in ("chips", "cores", "neurons/core", "memory/core", "spikes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in names():
        t = load(name)
        limits = t.limits
        alias = ", ".join(a for a, n in ALIASES.items() if n == name)
        kib = limits.synapse_words_per_core * limits.word_bits / 8 / 1024
        table.add_row(
            f"{name} ({alias})" if alias else name,
            t.title,
            f"{limits.chips:,}",
            f"{limits.cores:,}",
            f"{limits.neurons_per_core:,}",
            f"{kib:.0f} KiB",
            f"{limits.payload_bits} bit" if limits.payload_bits else "binary",
        )
    return Group(table, Text("\nsfx targets NAME shows every limit and cost with its source"))


def target_fits(program: Program, chosen: tuple[str, ...] | None = None) -> RenderableType:
    """What it would take: cores and chips of each listed target, or what keeps it from fitting.

    Raises InputError (SFX-E401, SFX-E402) for an unknown target.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("target", no_wrap=True)
    for column in ("cores", "of", "chips"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    smallest = ""
    for name in chosen or names():
        limits = load(name).limits
        needed, why = needs(program, load(name))
        if needed is None:
            table.add_row(name, "-", f"{limits.cores:,}", "-", why)
            continue
        smallest = smallest or name
        chips = -(-needed // limits.cores_per_chip)
        mark = "smallest that fits" if name == smallest else ""
        table.add_row(name, f"{needed:,}", f"{limits.cores:,}", f"{chips:,}", mark)
    return table


def target_details(name: str) -> RenderableType:
    """Limits, rules and costs of one target. Raises InputError (SFX-E401, SFX-E402)."""
    t = load(name)
    limits = _table("limit", "value", "source")
    for field, source in t.limit_sources.items():
        value = getattr(t.limits, field)
        limits.add_row(field, "-" if source == "not public" else _limit(value), source)
    rules = Table(
        title="\nRules",
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        pad_edge=False,
    )
    for rule in (*CORE_RULES, neuron_groups, cores_available, *PROJECTION_RULES, *POPULATION_RULES):
        rules.add_row(f"- {text_of(rule, t.limits)}")
    costs = _table("cost", "value", "range", "source")
    costs.title = "\nCosts"
    for field, q in t.costs.items():
        costs.add_row(field, _quantity(q), f"x {q.low:.3g} .. {q.high:.3g}", q.source)
    return Group(Text(f"{t.name}: {t.title}\n", style="bold"), limits, rules, costs)


def _table(*columns: str) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        title_justify="left",
        title_style="bold",
    )
    for name in columns:
        table.add_column(
            name, no_wrap=name != "source", justify="right" if name == "value" else "left"
        )
    return table


def _limit(value: int | tuple[int, int]) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}, {value[1]}"
    return f"{value:,}"


def _quantity(q: Quantity) -> str:
    return f"{q.value:g}" if q.unit in ("1", "bit") else si(q.value, q.unit)
