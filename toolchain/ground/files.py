"""Writing a file in one step: a reader sees the old one or the new one, never half of it.

The content has no name until it is complete (O_TMPFILE), so a process that is killed while it
writes leaves nothing behind; where the file system has no such files, a named draft beside it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import InputError


def writable(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Raise InputError (SFX-E603) if it is plain beforehand that `replacing` cannot write `path`.

    suffixes  those that the file may have, such as ".png", if its name decides what it is
    """
    if suffixes and path.suffix.lower() not in suffixes:
        what, hint = f"is not a {' or '.join(suffixes)}", "the suffix decides what is written"
    else:
        what, hint = _obstacle(Path(os.path.realpath(path))), "name a file in a writable folder"
    if what:
        raise InputError("SFX-E603", f"cannot be written: {what}", where=str(path), hint=hint)


def writable_folder(path: Path) -> bool:
    """Whether the folder is there; if not, it can be made.

    Raises InputError (SFX-E603) if it is plain that nothing can be written in it.
    """
    try:
        if not path.exists():
            writable(path)  # as for a file: is there a folder around it, may it be written to?
            return False
        what = "" if os.access(path, os.W_OK | os.X_OK) else "it may not be written to"
        what = what if path.is_dir() else "it is a file"
    except OSError as error:
        what = error.strerror or str(error)
    if what:
        raise InputError(
            "SFX-E603",
            f"cannot be written: {what}",
            where=str(path),
            hint="name a writable folder, or one that does not exist yet",
        )
    return True


def _obstacle(path: Path) -> str:
    """Why nothing can be written at `path`, "" if nothing is seen that speaks against it."""
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        return error.strerror or str(error)
    if stat.S_ISDIR(mode):
        return "it is a folder"
    written = path.parent if stat.S_ISREG(mode) else path  # a device is not replaced
    return "" if os.access(written, os.W_OK) else f"{written} may not be written"


_noting: list[list[Path]] = []


@contextmanager
def noting() -> Iterator[list[Path]]:
    """The files that are written while the block runs, each once."""
    found: list[Path] = []
    _noting.append(found)
    try:
        yield found
    finally:
        _noting.remove(found)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content takes the place of `path` when the block ends without an exception.

    A link is followed; a device or a pipe is written to, not replaced.
    Raises InputError (SFX-E603) if it cannot be written; `path` is then as it was.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        end = Path(os.path.realpath(path))
        with _unnamed(end) or _named(end) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            _move(stream, end)
        for found in _noting:
            found += [path] if path not in found else []
    except OSError as error:
        raise InputError(
            "SFX-E603",
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            hint="choose a writable folder with enough space",
        ) from error


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step. Raises InputError (SFX-E603)."""
    with replacing(path) as stream:
        stream.write(data)


def _unnamed(path: Path) -> IO[bytes] | None:
    try:
        return os.fdopen(os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
    except (OSError, AttributeError):  # not on this file system, or not on this system
        return None


@contextmanager
def _named(path: Path) -> Iterator[IO[bytes]]:
    """A file with a name, of the mode that new files get, which is gone when the block ends."""
    draft = path.parent / f".sfx.{secrets.token_hex(8)}"
    try:
        with open(str(draft), "x+b") as stream:
            yield stream
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _move(stream: IO[bytes], path: Path) -> None:
    """Give the complete file a name of its own beside `path`, then that of `path`."""
    draft = path.parent / f".sfx.{secrets.token_hex(8)}"  # short: `path` may be as long as can be
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        if isinstance(stream.name, str):
            os.link(stream.name, draft)
        else:  # an absolute path ignores the folder, but makes Python follow the link to the file
            os.link(f"/proc/self/fd/{stream.fileno()}", draft, src_dir_fd=folder)
        os.replace(draft, path)
        os.fsync(folder)
    finally:
        os.close(folder)
        with suppress(FileNotFoundError):
            draft.unlink()
