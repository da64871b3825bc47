"""The working folder holds data: nothing in it is imported, and no library is configured by it.

What can be in a folder from a stranger: `numpy.py`, `.numba_config.yaml` (which can name classes to
import, and the place of machine code), `matplotlibrc`. Commands and the workers that they start
call `shut_out` before anything else; Python programs that import sfx keep their own settings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import sfx

READ = {"numba.core.config": ".numba_config.yaml", "matplotlib": "matplotlibrc"}
"""Modules that look for a file of settings in the working folder while they are imported."""
ROOT = str(Path(sfx.__file__).resolve().parents[1])
"""The folder that this `sfx` was imported from."""


def shut_out() -> None:
    """In this process from now on: the working folder is no module path and no configuration."""
    with suppress(FileNotFoundError):  # a working folder that was removed holds nothing
        sys.path[:] = _without(os.getcwd(), sys.path)
    if not any(isinstance(finder, _Settings) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Settings())


def python_path() -> str:
    """PYTHONPATH for a worker: our folder first, then the user's, none of them by its absence.

    An empty element stands for the working folder, and hardly anyone means it.
    """
    return os.pathsep.join([ROOT, *_asked()])


def worker_environment() -> dict[str, str]:
    """For a Python process of ours, to be started in a folder of ours.

    Python 3.11 leaves its working folder out when told; Python 3.10 puts it first whatever it is
    told, so both are needed.
    """
    return {**os.environ, "PYTHONPATH": python_path(), "PYTHONSAFEPATH": "1"}


@contextmanager
def open_to(module: str) -> Iterator[None]:
    """For the import of `module`, which the user named: the working folder, last on the path.

    Only if `module` lies in it and nowhere else, so that a file there takes no package's place.
    """
    top, here = module.partition(".")[0], os.getcwd()
    if top in sys.modules or find_spec(top) or not PathFinder.find_spec(top, [here]):
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _asked() -> list[str]:
    """The folders that the user put into PYTHONPATH by name."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.abspath(folder) for folder in named if folder]


def _without(here: str, path: list[str]) -> list[str]:
    """`path` without the entries that Python made of the working folder by itself.

    Those are "" (`python -c`), the first one of `python -m`, and what an empty element of
    PYTHONPATH became. Where our own code lies there or the user named it, it stays.
    """
    if here == ROOT or here in _asked():
        return [folder for folder in path if folder]
    by_module = getattr(sys.modules.get("__main__"), "__spec__", None) is not None
    by_absence = "" in os.environ.get("PYTHONPATH", "-").split(os.pathsep)
    return [
        folder
        for i, folder in enumerate(path)
        if folder and not (folder == here and (by_absence or (by_module and i == 0)))
    ]


class _Settings(MetaPathFinder):
    """Finds the modules of READ as everyone does, and has them executed by `_Blind`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in READ:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Blind(spec.loader, READ[name])
        return spec


class _Blind(Loader):
    """Executes a module for which the file `unseen` of the working folder does not exist."""

    def __init__(self, loader: Loader, unseen: str) -> None:
        self.loader = loader
        self.unseen = unseen

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader
        exists = os.path.exists  # how both ask; other threads get the same answers as ever
        os.path.exists = lambda path: path != self.unseen and exists(path)  # put back below
        try:
            self.loader.exec_module(module)
        finally:
            os.path.exists = exists
        if hasattr(module, "_config_fname"):  # numba asks again whenever it compiles
            vars(module)["_config_fname"] = ""
