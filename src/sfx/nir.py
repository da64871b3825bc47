"""Importing it registers the extension nodes of our NIR files, so that `nir.read` reads them.

    import nir
    import sfx.nir
    graph = nir.read("model.nir")      # as `sfx export model.pt -o model.nir` wrote it

The nodes, each with its equation, are in `toolchain/formats/nir/ext.py`; `sfx.nir.read` is
`nir.read` with the checks of a file from elsewhere.
"""

from sfx.toolchain.formats.nir.bridge import read
from sfx.toolchain.formats.nir.ext import EXTENSIONS

__all__ = ["EXTENSIONS", "read"]
