"""What the command line and notebooks call: `sfx.export`, `compile`, `run`, `verify`, `report`.

Heavy parts (torch, Lava, the zoo) are imported by the function that needs them.
"""

from ...data import Data
from ...formats.bundle.bundle import Bundle
from ...ground.errors import SfxError
from .agreeing import verify_torch
from .bundles import (
    diff,
    export_netx,
    export_onnx,
    inspect,
    load,
    remap,
    report,
    save,
    standard_nir,
    target_of,
    to_lava,
)
from .compiling import compile, judge
from .running import BACKENDS, backend, replay, run, stream, verify
from .sources import Source, export, load_model

__all__ = [
    "BACKENDS",
    "Bundle",
    "Data",
    "SfxError",
    "Source",
    "backend",
    "compile",
    "diff",
    "export",
    "export_netx",
    "export_onnx",
    "inspect",
    "judge",
    "load",
    "load_model",
    "remap",
    "replay",
    "report",
    "run",
    "save",
    "standard_nir",
    "stream",
    "target_of",
    "to_lava",
    "verify",
    "verify_torch",
]
