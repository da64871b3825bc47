"""`model.sfx`: one zip file with the placed Program, its NIR source and a manifest.

Entries: manifest.json (versions, target, source and calibration hashes, the digest of the
Program, quantization record, SHA-256 of every other entry), program.json, arrays/*.npy, model.nir.
Times inside are fixed and entries are sorted, so identical inputs give identical bytes; the zip's
comment is the SHA-256 of all bytes before it. Written beside its destination and moved there in
one step: a reader sees the old file or the new one, never half of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ground.errors import InputError, SfxError
from ...ground.files import atomic_write
from ...ground.memory import require
from ...ground.npy import read_npy
from ...ir.codec import CodecError, decode, encode
from ...ir.digest import digest
from ...ir.find_facts import with_facts
from ...ir.placed import PlacedProgram
from ...ir.program import Program
from .manifest import checked, parse

SCHEMA_VERSION = 3
UNPLACED = 1
"""Bundles of this schema are read without their mapping, whose form was another; `sfx.load` maps
them again. Their Programs are what they were."""
MEASURED = 4
"""Of a bundle whose Program has measured ranges, and of no other: an sfx that does not know them
would take them for proved ones.
"""
READ = (UNPLACED, 2, SCHEMA_VERSION, MEASURED)
"""Before schema 3 a Program states no facts; what it would state is found when it is read."""
MAX_ENTRIES = 100_000
MAX_BYTES = 16 << 30
"""Largest unpacked size that is read; more is refused as a zip bomb."""
SEAL = 64
"""Bytes of the file's own checksum at its end."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A compiled model. `manifest` holds plain JSON values only."""

    placed: PlacedProgram
    nir: bytes
    manifest: dict[str, Any]

    @property
    def program(self) -> Program:
        """The Program that every backend runs."""
        return self.placed.program


def write(bundle: Bundle, path: str | Path) -> None:
    """Write `bundle` to `path` atomically. Raises InputError (SFX-E603) if it cannot be written."""
    arrays: list[NDArray[Any]] = []
    body = encode(bundle.placed, arrays)
    entries = {"program.json": _json(body), "model.nir": bundle.nir}
    for i, array in enumerate(arrays):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        entries[f"arrays/{i:05d}.npy"] = buffer.getvalue()
    measured = any(p.measured is not None for p in bundle.program)
    manifest = bundle.manifest | {
        "schema_version": MEASURED if measured else SCHEMA_VERSION,
        "program": digest(bundle.program),
        "sha256": {k: hashlib.sha256(v).hexdigest() for k, v in sorted(entries.items())},
    }
    entries["manifest.json"] = _json(manifest)
    atomic_write(Path(path), pack(entries))


def read(path: str | Path, *, balanced: bool = True) -> Bundle:
    """Read and check a bundle. Raises InputError (SFX-E601, SFX-E602) for anything damaged.

    balanced: also require that every delay fits the phases, as the compiler leaves them.
    """
    entries = unpack(Path(path))
    try:
        manifest = _manifest(entries, path)
        names = sorted(n for n in entries if n.startswith("arrays/"))
        arrays = [read_npy(io.BytesIO(entries[n]), len(entries[n])) for n in names]
        if any(a.dtype.kind not in "iu" for a in arrays):
            raise CodecError("an array does not hold integers")
        require(8 * sum(a.size for a in arrays), "its Program", where=str(path))
        body = json.loads(entries["program.json"])
        if manifest["schema_version"] == UNPLACED:
            body |= {"blocks": [], "objective": "latency", "seed": 0}
        placed = decode(body, arrays, PlacedProgram)
        _check(placed.program, path, balanced)
        placed = replace(placed, program=with_facts(placed.program))
        own = digest(placed.program)
        if manifest.get("program", own) != own:
            raise CodecError("its manifest belongs to another Program")
        return Bundle(placed, entries["model.nir"], manifest)
    except SfxError:
        raise
    except (
        CodecError,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
        RecursionError,
    ) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error


def _manifest(entries: dict[str, bytes], path: str | Path) -> dict[str, Any]:
    """The manifest, of a schema that is read and with the checksum of every other entry.

    Raises InputError (SFX-E602) for another schema, CodecError and others for what is damaged.
    """
    manifest = parse(entries["manifest.json"])
    version = manifest.get("schema_version")
    if version not in READ:
        raise InputError(
            "SFX-E602",
            f"has bundle schema {version!r}, but this version of sfx reads {UNPLACED} to "
            f"{MEASURED}",
            where=str(path),
            hint="use a newer version of sfx-loihi, or compile the model again with this one",
        )
    manifest = checked(manifest)
    expected, others = manifest["sha256"], set(entries) - {"manifest.json"}
    for name in sorted(others):
        if expected.get(name) != hashlib.sha256(entries[name]).hexdigest():
            raise CodecError(f"{name} does not match its checksum")
    if set(expected) != others:
        raise CodecError("entries are missing")
    return manifest


def _check(program: Program, path: str | Path, balanced: bool) -> None:
    """A bundle from elsewhere may be well-formed and still not be a legal Program."""
    from ...ir.check_program import check_program

    try:
        check_program(program, balanced=balanced)
    except (LookupError, StopIteration, AttributeError) as error:
        raise _damaged(path, f"the program is inconsistent ({error})") from error


def _damaged(path: str | Path, what: str) -> InputError:
    return InputError(
        "SFX-E601",
        f"not a readable sfx bundle: {what}",
        where=str(path),
        hint="compile the model again; a bundle is written by 'sfx compile'",
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def pack(entries: dict[str, bytes]) -> bytes:
    """A sealed zip: the same bytes for the same entries, times fixed, checksum at the end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as z:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            z.writestr(info, entries[name])
    return _sealed(buffer.getvalue())


def _sealed(archive: bytes) -> bytes:
    """The archive with the SHA-256 of all its bytes as its zip comment, so that no flip is missed.

    A zip without a comment ends in the comment's length, 0 as two bytes.
    """
    body = archive[:-2] + SEAL.to_bytes(2, "little")
    return body + hashlib.sha256(body).hexdigest().encode()


def unpack(path: Path) -> dict[str, bytes]:
    """The entries of a sealed zip. Raises InputError (SFX-E600, E601)."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[:-SEAL]).hexdigest().encode() != content[-SEAL:]:
            raise _damaged(path, "its bytes do not match its checksum")
        with zipfile.ZipFile(io.BytesIO(content)) as z:
            infos = z.infolist()
            total = sum(i.file_size for i in infos)
            if len(infos) > MAX_ENTRIES or total > MAX_BYTES:
                raise _damaged(path, f"{len(infos)} entries, {total} bytes unpacked")
            if len({i.filename for i in infos}) != len(infos):
                raise _damaged(path, "an entry occurs twice")
            require(total, "unpacking it", where=str(path))
            return {i.filename: z.read(i) for i in infos}
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E600", f"cannot be read: {reason}", where=str(path)) from error
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as e:
        raise _damaged(path, str(e)) from e
    except Exception as error:  # zlib.error and friends: a damaged stream, whatever it raises
        if isinstance(error, SfxError):
            raise
        raise _damaged(path, str(error)) from error
