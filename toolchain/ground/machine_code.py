"""Machine code that numba made, kept between processes in a folder of ours.

What lies there is run, so it is read only if nobody but the user and root can have written it: the
owners and modes of the folder, of what it lies in and of each file are looked at. Its place is
`$SFX_CACHE_DIR`, else `$XDG_CACHE_HOME/sfx` or `~/.cache/sfx`; no setting of numba's moves it.
Whatever is wrong with it costs one `CacheWarning` and the time to compile, nothing else.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps as _dumps

rebuild: Callable[..., Any] = CompileResult._rebuild
dumps: Callable[[Any], bytes] = _dumps
ENVIRONMENT = "SFX_CACHE_DIR"
MAGIC = b"sfx machine code 1\n"
OTHERS = stat.S_IWGRP | stat.S_IWOTH


class CacheWarning(UserWarning):
    """No machine code is kept or used in this process, or a damaged file of it is made again."""


class _Unsafe(Exception):
    """Someone else can have written here."""


_told: list[str] = []
"""What was warned of: once a process, the first time."""
_off: list[bool] = []


def kept(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: `numba.njit` with these options, its machine code kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        made = numba.njit(**options)(function)
        made._cache = _Kept(function)
        return made

    return decorate


def folder() -> Path:
    """Where machine code is kept."""
    named = os.environ.get(ENVIRONMENT, "")
    if named:
        return Path(os.path.abspath(named))
    home = os.environ.get("XDG_CACHE_HOME", "")
    # a relative one is to be ignored, says the standard, and would be in the working folder
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "sfx"


def read(path: Path) -> bytes | None:
    """What `write` wrote, None if there is no such file.

    Raises OSError, _Unsafe if others can have written it, ValueError if it is damaged.
    """
    _secure(path.parent)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(handle, "rb") as file:
        _look(os.fstat(handle), str(path))
        content = file.read()
    digest = hashlib.sha256(content[len(MAGIC) + 32 :]).digest()
    if not content.startswith(MAGIC + digest):
        raise ValueError("damaged")
    return content[len(MAGIC) + 32 :]


def write(path: Path, data: bytes) -> None:
    """Keep `data` at `path`, in one step. Raises OSError and _Unsafe."""
    _secure(path.parent)
    handle, draft = tempfile.mkstemp(prefix=".", dir=path.parent)  # of mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(MAGIC + hashlib.sha256(data).digest() + data)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _secure(place: Path) -> None:
    """Make the folder where it is missing, for the user alone; raise if others may write there."""
    missing = [p for p in (place, *place.parents) if not p.exists()]
    for new in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(new, 0o700)
    real = Path(os.path.realpath(place))
    _look(os.stat(real), str(real))
    for above in real.parents:
        found = os.stat(above)
        sticky = found.st_mode & stat.S_ISVTX  # nobody renames there what is another's
        if found.st_uid not in (0, os.geteuid()) or (found.st_mode & OTHERS and not sticky):
            raise _Unsafe(f"other users can replace files in {above}")


def _look(found: os.stat_result, name: str) -> None:
    if found.st_uid != os.geteuid():
        raise _Unsafe(f"{name} belongs to user {found.st_uid}")
    if found.st_mode & OTHERS:
        raise _Unsafe(f"other users can write to {name}")
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise _Unsafe(f"{name} is not a file")


def _warn(text: str) -> None:
    if not _told:
        _told.append(text)
        warnings.warn(text, CacheWarning, stacklevel=2)


def _give_up(error: Exception) -> None:
    """From now on without."""
    _off.append(True)
    _warn(
        f"machine code is not kept, so every start compiles again: {error}; "
        f"${ENVIRONMENT} can name another folder"
    )


@cache
def _sources(place: str) -> str:
    """Digest of all sources beside a kernel: it may call and inline what is in any of them."""
    files = sorted(Path(place).glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _Kept(_Cache):
    """Where a dispatcher of numba looks for machine code, and hands over what it made."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._sources = _sources(os.path.dirname(function.__code__.co_filename))

    @property
    def cache_path(self) -> str:
        return str(folder())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for these types of arguments, None if there is none to be had."""
        if _off:
            return None
        target_context.refresh()
        path = None
        try:
            path = self._file(sig, target_context.codegen())
            data = read(path)
            return data and rebuild(target_context, *pickle.loads(data))
        except (OSError, RuntimeError, _Unsafe) as error:
            _give_up(error)
        except Exception as error:  # whatever the bytes in it made pickle or numba raise
            _warn(f"{path} is damaged and made again ({type(error).__name__}: {error})")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, unless it holds addresses of this process."""
        if _off or data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            return
        try:
            write(self._file(sig, data.codegen), dumps(data._reduce()))
        except (OSError, RuntimeError, _Unsafe) as error:
            _give_up(error)

    def _file(self, sig: Any, codegen: Any) -> Path:
        """One for each function, its sources, types, processor and maker."""
        key = (self._name, self._sources, sig, codegen.magic_tuple(), numba.__version__)
        return folder() / f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"

    def enable(self) -> None:
        """Numba asks for it."""

    def disable(self) -> None:
        """Numba asks for it."""

    def flush(self) -> None:
        """Numba asks for it."""
