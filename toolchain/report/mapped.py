"""What a mapping takes of the cores: the lines that commands print, and the table of layers."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..compiler.mapping.utilization import layers, utilization
from ..ir.placed import PlacedProgram
from ..targets.target import Target

NAMES = {
    "axons_in": "AxonIn",
    "neuron_groups": "NeuronGr",
    "neurons": "Neurons",
    "synapse_words": "Synapses",
    "axons_out": "AxonMap",
}
"""Resource -> column of the tables that Intel's compiler prints."""
SHORT = {
    "axons_in": "axons in",
    "neuron_groups": "groups",
    "neurons": "neurons",
    "synapse_words": "words",
    "axons_out": "map",
}
"""In a line of 80 columns."""
MOST_CORES = 256
"""Cores that the table lists; of more, the fullest."""


def mapped_lines(placed: PlacedProgram, target: Target) -> list[tuple[str, str]]:
    """(label, line): the objective, and how full cores are of each resource."""
    cores = utilization(placed, target)
    lines = [("objective", placed.objective)]
    if not cores:
        return lines
    mean = {r: sum(c.shares[r] for c in cores) / len(cores) for r in cores[0].shares}
    most = {r: max(c.shares[r] for c in cores) for r in cores[0].shares}
    for label, shares in (("used, mean", mean), ("used, most", most)):
        found = [f"{SHORT[r]} {_percent(share)}" for r, share in shares.items()]
        lines.append((label, ", ".join(found)))
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share > 0.9995 else 1}f}%"


def layer_table(placed: PlacedProgram, target: Target) -> RenderableType:
    """Percent of a core that each layer takes where it takes most, as Intel's compiler prints it,
    and what each core holds.
    """
    rows = layers(placed, target)
    columns = [r for r in NAMES if rows and r in rows[0].shares]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in (*(NAMES[r] for r in columns), "Cores"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("layer", overflow="fold")
    for row in rows:
        tile = ", ".join(map(str, row.tile))
        shares = [f"{100 * row.shares[r]:.2f}%" for r in columns]
        table.add_row(*shares, f"{row.cores:,}", f"{row.population} ({tile})")
    return Group(table, Text(), _core_table(placed, target, columns))


def _core_table(placed: PlacedProgram, target: Target, columns: list[str]) -> RenderableType:
    cores = list(utilization(placed, target))
    fullest = sorted(cores, key=lambda c: -max(c.shares.values()))[:MOST_CORES]
    shown = sorted(fullest, key=lambda c: (c.chip, c.core))
    title = "Per core" if len(shown) == len(cores) else f"Per core, the {MOST_CORES} fullest"
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0), title=title)
    table.title_justify = "left"
    for name in ("chip", "core", *(NAMES[r] for r in columns)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("holds", overflow="fold")
    for c in shown:
        shares = [f"{100 * c.shares[r]:.2f}%" for r in columns]
        table.add_row(str(c.chip), str(c.core), *shares, ", ".join(c.populations))
    return table
