"""What the command line and notebooks call: `sfx.export`, `compile`, `run`, `verify`, `report`.

Heavy parts (torch, Lava, the zoo) are imported by the function that needs them.
"""

from sfx.toolchain.api.agreeing import verify_torch
from sfx.toolchain.api.bundles import (
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
from sfx.toolchain.api.compiling import compile, judge
from sfx.toolchain.api.running import BACKENDS, backend, replay, run, stream, verify
from sfx.toolchain.api.sources import Source, export, load_model
from sfx.toolchain.bundle import Bundle
from sfx.toolchain.data import Data
from sfx.toolchain.errors import SfxError

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
