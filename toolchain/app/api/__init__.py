"""What the command line and notebooks call: `sfx.export`, `compile`, `run`, `verify`, `report`.

Heavy parts (torch, Lava, the zoo) are imported by the function that needs them.
"""

from ...data import Data
from ...formats.bundle.bundle import Bundle
from ...ground.errors import SfxError
from .agreeing import verify_torch
from .bundles import (
    diff,
    load,
    remap,
    report,
    save,
    target_of,
    to_lava,
)
from .compiling import compile
from .exporting import export_netx, export_onnx, standard_nir
from .files import inspect
from .judging import judge
from .models import Source
from .running import BACKENDS, backend, replay, run, stream, verify
from .sources import export, load_model

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
