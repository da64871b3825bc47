"""sfx: from a trained spiking transformer to Loihi 2, right to the bit.

    import sfx
    bundle = sfx.compile("model.pt", target="loihi")
    sfx.save(bundle, "model.sfx")
    verdict = sfx.verify(bundle, x)          # reference against Lava, bit for bit

`import sfx.nir` registers the extension nodes of its NIR files, so that `nir.read` knows them.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
_PARTS = ("toolchain", "frontends", "backends")


def _without_links(folder: str) -> str:
    """What to say where the parts in `folder` are no folders, "" where they are.

    Git writes a link as a text file, its path in it, where a system or a setting has no links.
    """
    absent = [name for name in _PARTS if not os.path.isdir(os.path.join(folder, name))]
    if not absent:
        return ""
    links = " ".join(f"src/sfx/{name}" for name in absent)
    return (
        f"SFX-E662 {folder}: {', '.join(absent)} must be links to the project's folders, and this "
        "checkout was made without symbolic links\n"
        "  -> where links are allowed (on Windows: developer mode), git config core.symlinks true "
        f"and git checkout HEAD -- {links}; or put copies of the folders in their place"
    )


if _message := _without_links(os.path.dirname(os.path.abspath(__file__))):
    raise ImportError(_message, name="sfx")

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
    if name in ("qat", "training"):  # they import torch
        return importlib.import_module(f"sfx.{name}")
    raise AttributeError(f"module 'sfx' has no attribute '{name}'")
