"""The user's own code, `pkg.module:factory`: imported, called, and named where it fails."""

from __future__ import annotations

import importlib
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ...toolchain.ground.errors import InputError, SfxError
from ...toolchain.ground.folder import ROOT, open_to

PASSED = (SfxError, MemoryError)
"""Errors in the user's code that stay what they are."""
LIBRARIES = ("/site-packages/", "/dist-packages/", str(sysconfig.get_path("stdlib")))
"""Places whose lines are not the user's own."""
_INNER = ("<frozen", f"{ROOT}/sfx/", str(Path(str(importlib.__file__)).parent))


def made(name: str) -> nn.Module:
    """The network that the factory returns, called without arguments.

    Raises InputError (SFX-E153) with the user's own line if it cannot be imported, raises or calls
    `sys.exit`, or returns something else. Errors of ours in it stay what they are.
    """
    factory = imported(name)
    try:
        net = factory()
    except PASSED:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            "SFX-E153",
            f"raised {type(error).__name__}: {_one_line(error)}",
            where=_place(name, error),
            hint="the factory is called without arguments and returns the network",
        ) from error
    if not isinstance(net, nn.Module):
        raise InputError(
            "SFX-E153", f"returned {type(net).__name__}; it must return a torch module", where=name
        )
    return net


def imported(name: str) -> Callable[[], object]:
    """Import the user's own code, named by the user on the command line.

    It may lie in the working folder, which is open for this import only (`folder.open_to`).
    Raises InputError (SFX-E153).
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError("SFX-E153", "is not of the form pkg.module:factory", where=name)
    try:
        with open_to(module):
            factory = getattr(importlib.import_module(module), attribute)
    except PASSED:
        raise
    except (Exception, SystemExit) as error:  # a module runs when it is imported
        kind = (
            "" if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: "
        )
        raise InputError(
            "SFX-E153",
            f"cannot be imported: {kind}{_one_line(error)}",
            where=_place(name, error),
            hint="looked for on PYTHONPATH, among the installed packages and in this folder",
        ) from error
    if not callable(factory):
        raise InputError("SFX-E153", "is not a function or class", where=name)
    return lambda: factory()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _place(name: str, error: BaseException) -> str:
    """`name (file:line)`: the last line of the user's own that was running, if there was one.

    Where all is of installed packages it is the last line outside of ours.
    """
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    others = [f for f in frames if not f[0].startswith(_INNER)]
    own = [f for f in others if not any(part in f[0] for part in LIBRARIES)]
    last = (own or others)[-1:]
    return f"{name} ({last[0][0]}:{last[0][1]})" if last else name
