"""Register the extension nodes when `nir` is imported, now or later.

`import sfx` promises that `nir.read` knows our nodes, and `sfx --help` must not pay for importing
nir and h5py. So the registration runs right after nir's own import, whoever asks for it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def register() -> None:
    """Register now if nir is imported already, else after its import."""
    if "nir" in sys.modules:
        import sfx.toolchain.ir.nir_ext  # noqa: F401  (importing registers)
    elif not any(isinstance(f, _AfterNir) for f in sys.meta_path):
        sys.meta_path.insert(0, _AfterNir())


class _AfterNir(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "nir":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("nir")
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader)
        return spec


class _ThenRegister(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        import sfx.toolchain.ir.nir_ext  # noqa: F401  (importing registers)
