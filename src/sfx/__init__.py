"""sfx: from a trained spiking transformer to Loihi 2, right to the bit.

    import sfx
    bundle = sfx.compile("model.pt", target="loihi")
    sfx.save(bundle, "model.sfx")
    verdict = sfx.verify(bundle, x)          # reference against Lava, bit for bit

`import sfx.nir` registers the extension nodes of its NIR files, so that `nir.read` knows them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sfx.toolchain.app.api import (
        Data,
        compile,
        export,
        load,
        report,
        run,
        save,
        to_lava,
        verify,
    )

__all__ = [
    "Data",
    "__version__",
    "compile",
    "export",
    "load",
    "report",
    "run",
    "save",
    "to_lava",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Public functions are loaded on first use: `sfx --help` needs none of them."""
    if name in __all__:
        from sfx.toolchain.app import api

        return getattr(api, name)
    if name == "qat":  # imports torch
        return importlib.import_module("sfx.qat")
    raise AttributeError(f"module 'sfx' has no attribute '{name}'")
