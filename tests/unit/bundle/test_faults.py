"""Whatever goes wrong when a bundle is written or read: nothing lost, nothing half, and why."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ground import files
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.placed import PlacedProgram
from tests.strategies import random_events, random_program

SCHEMA_1 = Path(__file__).with_name("schema_1.bundle")
"""random_program(11, populations=4, max_neurons=12), written by the last version of schema 1."""
FOLDERS = pytest.mark.parametrize("named", [False, True], ids=["no name", "named draft"])


def small(seed: int = 3, nir: bytes = b"") -> Bundle:
    program = random_program(seed, populations=2, max_neurons=6)
    return Bundle(PlacedProgram(program, "loihi2", ()), nir, {"target": "loihi2"})


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, bytes]:
    """A sound bundle, alone in its folder."""
    path = tmp_path / "m.sfx"
    bundles.write(small(), path)
    return path, path.read_bytes()


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """A limit on the size of files, as a full disk sets it: writes beyond it fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def untouched(path: Path, content: bytes) -> None:
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name], "no draft is left"


@FOLDERS
def test_a_full_disk_at_every_size(
    old: tuple[Path, bytes], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after 0, 1, ... bytes of the new bundle: the old one stays."""
    path, content = old
    if named:
        monkeypatch.setattr(files, "_unnamed", lambda path: None)
    new = small(4, os.urandom(20_000))
    entire = len(_written(new, path.parent))
    for limit in (0, 1, 100, 4096, 8192, entire // 2, entire - 1):
        with file_size(limit), pytest.raises(InputError, match="SFX-E603"):
            bundles.write(new, path)
        untouched(path, content)
    with file_size(entire):
        bundles.write(new, path)
    assert bundles.read(path).nir == new.nir


def _written(bundle: Bundle, folder: Path) -> bytes:
    path = folder / "other"
    bundles.write(bundle, path)
    data = path.read_bytes()
    path.unlink()
    return data


@FOLDERS
@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_no_space_at_each_step(
    old: tuple[Path, bytes], named: bool, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disks also report that they are full when the data are flushed, or the name is given."""
    path, content = old
    if named:
        monkeypatch.setattr(files, "_unnamed", lambda path: None)

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as m:
        m.setattr(os, call, full)
        with pytest.raises(InputError, match=r"SFX-E603.*No space left"):
            bundles.write(small(4), path)
    untouched(path, content)


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A pipe of ours: an error in what is tested must not cost the machine a device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    files.atomic_write(pipe, b"content")
    reader.join()
    assert got == [b"content"]
    assert pipe.is_fifo()


def test_a_link_is_followed(old: tuple[Path, bytes], tmp_path: Path) -> None:
    path, _ = old
    link = tmp_path / "link.sfx"
    link.symlink_to(path.name)
    bundles.write(small(4), link)
    assert link.is_symlink()
    assert path.read_bytes() == link.read_bytes() == _written(small(4), tmp_path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SFX-E603"):
        bundles.write(small(), tmp_path)


def test_a_folder_that_may_not_be_written(old: tuple[Path, bytes]) -> None:
    path, content = old
    if os.geteuid() == 0:  # root may write everywhere but where nothing can be
        with pytest.raises(InputError, match="SFX-E603"):
            bundles.write(small(4), Path("/proc/m.sfx"))
        return
    path.parent.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"SFX-E603.*Permission denied"):
            bundles.write(small(4), path)
    finally:
        path.parent.chmod(0o700)
    untouched(path, content)


KILLED = """
import os, signal, sys
from pathlib import Path
from sfx.toolchain.ground import files

with files.replacing(Path(sys.argv[1])) as stream:
    stream.write(b"half of a bundle")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_the_old_file_and_nothing_else(
    old: tuple[Path, bytes],
) -> None:
    path, content = old
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    untouched(path, content)


def test_many_writers_one_file(tmp_path: Path) -> None:
    """Whoever comes last wins, whole; a reader never sees anything but one of them."""
    path = tmp_path / "m.sfx"
    made = [small(seed) for seed in range(3, 7)]
    whole = {_written(b, tmp_path) for b in made}
    bundles.write(made[0], path)
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    def work(bundle: Bundle) -> None:
        for _ in range(15):
            bundles.write(bundle, path)

    reader = threading.Thread(target=watch)
    writers = [threading.Thread(target=work, args=(b,)) for b in made]
    reader.start()
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    done.set()
    reader.join()
    assert seen <= whole
    assert os.listdir(tmp_path) == ["m.sfx"]
    bundles.read(path)


def test_a_file_of_any_other_length_is_refused(old: tuple[Path, bytes]) -> None:
    path, content = old
    for keep in [*range(0, 200), *range(200, len(content), 61)]:
        path.write_bytes(content[:keep])
        with pytest.raises(InputError, match="SFX-E601"):
            bundles.read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(InputError, match="SFX-E601"):
        bundles.read(path)


@pytest.mark.parametrize("resealed", [False, True])
def test_a_flipped_bit_in_every_section(old: tuple[Path, bytes], resealed: bool) -> None:
    """In headers, names, every entry and the directory; also where the file's seal was renewed."""
    path, content = old
    with zipfile.ZipFile(path) as z:
        starts = [i.header_offset for i in z.infolist()] + [z.start_dir]
    ends = [*starts[1:], len(content)]
    seen = tried = 0
    for start, end in zip(starts, ends, strict=True):
        for at in (start, start + 11, start + 31, (start + end) // 2, end - 1):
            damaged = bytearray(content)
            damaged[at] ^= 0x10
            if resealed:
                body = bytes(damaged[: -bundles.SEAL])
                damaged = bytearray(body + hashlib.sha256(body).hexdigest().encode())
            path.write_bytes(damaged)
            try:
                again = bundles.read(path)
            except InputError as error:
                seen += error.code in ("SFX-E601", "SFX-E602")
            else:  # a bit that zip ignores, such as one of a time or an attribute
                assert resealed
                seen += 1
                assert again.manifest == bundles.read(_copy(path, content)).manifest
        tried += 5
    assert seen == tried


def _copy(path: Path, content: bytes) -> Path:
    copy = path.with_name("copy.sfx")
    copy.write_bytes(content)
    return copy


def test_a_bundle_of_schema_1_is_read_and_mapped_again(tmp_path: Path) -> None:
    """Written by the code of that time, with the sums that code computed."""
    loaded = api.load(SCHEMA_1)
    assert loaded.manifest["schema_version"] == 1
    assert loaded.placed.blocks
    assert loaded.manifest["statistics"]["cores"] == loaded.placed.cores > 0
    x = random_events(loaded.program, 2)
    sums = ReferenceBackend().run(loaded.program, x).sums
    assert np.array_equal(sums, [[162, 76, 219], [34, 14, 53]])
    api.save(loaded, tmp_path / "new.sfx")
    again = api.load(tmp_path / "new.sfx")
    assert again.manifest["schema_version"] == bundles.SCHEMA_VERSION
    assert again.placed.blocks == loaded.placed.blocks
    assert api.diff(loaded, again) == []


def test_a_bundle_of_a_later_schema_says_what_to_do(old: tuple[Path, bytes]) -> None:
    path, _ = old
    entries = bundles.unpack(path)
    manifest = json.loads(entries["manifest.json"]) | {"schema_version": bundles.MEASURED + 1}
    path.write_bytes(bundles.pack(entries | {"manifest.json": json.dumps(manifest).encode()}))
    with pytest.raises(InputError, match=r"SFX-E602.*schema 5[^$]*newer version of sfx-loihi"):
        bundles.read(path)


def test_bombs(old: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by what the directory claims, before anything is unpacked."""
    path, _ = old
    entries = bundles.unpack(path)
    path.write_bytes(bundles.pack(entries | {"arrays/99999.npy": bytes(1 << 24)}))
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr(bundles, "MAX_BYTES", 1 << 23)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(InputError, match=r"SFX-E601.*bytes unpacked"):
        bundles.read(path)
