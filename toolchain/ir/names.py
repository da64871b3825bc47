"""Names of nodes as the toolchain keeps them: printable, on one line, of bounded length.

A file may name its nodes anything. Names become those of populations, are printed, drawn and
written into tables, so what a terminal or a picture would act on is taken out once, when a file
becomes a Graph (`shown`). Reads of a bundle refuse other names: sfx writes none.
"""

from __future__ import annotations

from dataclasses import replace

from ..ground.shown import shown
from .graph import Graph, unused

MOST = 200
"""Characters of a node's name; populations add what part of a node they are."""
MOST_OF_POPULATION = 400


def is_clean(name: str, most: int = MOST) -> bool:
    """Whether a name may be printed as it is."""
    return bool(name) and name.isprintable() and len(name) <= most


def with_clean_names(graph: Graph) -> Graph:
    """The graph with every name clean and still unique; the same one where they are already."""
    texts = [graph.name, *(n.name for n in graph), *(n.module for n in graph)]
    if all(is_clean(t) for t in texts if t):
        return graph
    taken = {n.name for n in graph if is_clean(n.name)}
    names = {
        n.name: n.name if is_clean(n.name) else unused(shown(n.name, MOST - 10), taken)
        for n in graph
        if n.name
    }
    nodes = tuple(
        replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(tuple(names.get(p, p) for p in port) for port in node.inputs),
            module=shown(node.module, MOST),
        )
        for node in graph
    )
    return replace(graph, nodes=nodes, name=shown(graph.name, MOST))
