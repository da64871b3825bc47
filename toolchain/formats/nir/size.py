"""How much a NIR file may contain: no more is written than is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nir

from ...ground.errors import InputError
from ..hdf5 import MAX_ITEMS


def check_size(graph: nir.NIRGraph) -> None:
    """Raises InputError SFX-E219 for a graph that a file could not contain (`hdf5.MAX_ITEMS`)."""
    items = _items({"version": nir.version, "node": graph.to_dict()})
    if items > MAX_ITEMS:
        raise InputError(
            "SFX-E219",
            f"{len(graph.nodes):,} nodes with {items:,} values; a NIR file may contain "
            f"{MAX_ITEMS:,} names of groups and values",
            hint="a network of layers has a few hundred nodes: merge the nodes of one layer",
        )


def _items(content: Mapping[str, Any]) -> int:
    """Groups and arrays that `nir.write` makes of `content`."""
    inner = (v for v in content.values() if isinstance(v, dict))
    return sum(1 for k, v in content.items() if k != "metadata" or v) + sum(map(_items, inner))
