"""The pass: a frozen dataclass whose fields are its options and whose `run` returns a new graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ...ir.graph import Graph, Node


class GraphPass(Protocol):
    """One rewrite of the float graph."""

    def run(self, graph: Graph) -> Graph:
        """Return the rewritten graph; never edits its argument."""
        ...


def run_passes(graph: Graph, passes: Sequence[GraphPass], check: Callable[[Graph], None]) -> Graph:
    """Run `passes` in order and `check` the graph after each."""
    for p in passes:
        graph = p.run(graph)
        check(graph)
    return graph


def rewire(nodes: Sequence[Node], replaced: dict[str, str]) -> list[Node]:
    """`nodes` with every operand name in `replaced` exchanged, following chains of replacements."""

    def resolve(name: str) -> str:
        while name in replaced:
            name = replaced[name]
        return name

    return [
        Node(n.name, n.op, tuple(tuple(map(resolve, port)) for port in n.inputs), n.shape, n.module)
        for n in nodes
    ]
