"""A .nir file as a model: the frontend that has nothing to translate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import bridge as nir_bridge

if TYPE_CHECKING:
    import nir


def read_model(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """The NIR graph in a file, extension nodes included; `to_graph` checks and converts it.

    Raises InputError: SFX-E201 not a NIR file, SFX-E202 unknown node types, SFX-E204 edges without
    an end, SFX-E211 a malformed node.
    """
    return nir_bridge.read(path)
