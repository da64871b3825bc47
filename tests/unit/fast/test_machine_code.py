"""Kept machine code is run: read only if no one else can have written it; damage is no end."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.ground import machine_code as mc


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and a process that was not warned yet."""
    monkeypatch.setenv(mc.ENVIRONMENT, str(tmp_path / "above" / "kept"))
    monkeypatch.setattr(mc, "_told", [])
    monkeypatch.setattr(mc, "_off", [])
    return tmp_path / "above" / "kept"


def twice(x: np.ndarray) -> int:
    total = 0
    for value in x:
        total += 2 * value
    return total


def use() -> tuple[int, bool, list[str]]:
    """As a new process would: the sum, whether the code came from disk, and the warnings."""
    made = mc.kept()(twice)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        value = made(np.arange(4))
        made(np.arange(3, dtype=np.int32))  # another signature: a second look at the folder
    assert all(w.category is mc.CacheWarning for w in told)
    return value, bool(made.stats.cache_hits), [str(w.message) for w in told]


def test_it_is_kept_for_the_user_alone(place: Path) -> None:
    before = os.umask(0)
    try:
        assert use() == (12, False, [])
    finally:
        os.umask(before)
    assert use() == (12, True, [])
    files = list(place.iterdir())
    assert len(files) == 2
    assert place.stat().st_mode & 0o777 == 0o700
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in files)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "pickle"])
def test_damage_is_told_once_and_mended(damage: str, place: Path) -> None:
    use()
    for file in place.iterdir():
        data = file.read_bytes()
        file.write_bytes({
            "empty": b"",
            "cut": data[:-7],
            "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
            "text": b"nothing of the kind",
            "pickle": b"cos\nsystem\n(S'true'\ntR.",
        }[damage])  # fmt: skip
    value, hit, (told,) = use()
    assert (value, hit) == (12, False)
    assert "is damaged and made again" in told
    mc._told.clear()
    assert use() == (12, True, [])


def sealed(data: bytes) -> bytes:
    import hashlib

    return mc.MAGIC + hashlib.sha256(data).digest() + data


def test_a_file_of_ours_that_numba_cannot_use(place: Path) -> None:
    import pickle

    use()
    for file in place.iterdir():
        file.write_bytes(sealed(pickle.dumps((1, 2, 3))))
    value, hit, (told,) = use()
    assert (value, hit) == (12, False)
    assert "is damaged" in told


def payload(mark: Path) -> bytes:
    """Of a right form and seal; unpickled, it makes `mark`."""
    code = f"open({str(mark)!r}, 'w').close()"
    return sealed(f"cbuiltins\nexec\n(V{code}\ntR.".encode())


OPEN = {
    "a foreign file": (lambda d, f: os.chown(f, 12345, -1), "belongs to user 12345"),
    "a foreign folder": (lambda d, f: os.chown(d, 12345, -1), "belongs to user 12345"),
    "a file for the group": (lambda d, f: f.chmod(0o620), "other users can write"),
    "a file for all": (lambda d, f: f.chmod(0o602), "other users can write"),
    "a folder for the group": (lambda d, f: d.chmod(0o770), "other users can write"),
    "a folder for all": (lambda d, f: d.chmod(0o777), "other users can write"),
    "a folder in an open one": (lambda d, f: d.parent.chmod(0o777), "other users can replace"),
    "a folder in a foreign one": (lambda d, f: os.chown(d.parent, 12345, -1), "can replace"),
}


@pytest.mark.parametrize("way", OPEN)
def test_what_others_can_have_written_is_not_loaded(way: str, place: Path, tmp_path: Path) -> None:
    if "foreign" in way and os.geteuid():
        pytest.skip("only root can give a file away")
    use()
    mark = tmp_path / "mark"
    for file in place.iterdir():
        file.write_bytes(payload(mark))
        opened, why = OPEN[way]
        opened(place, file)
    value, hit, (told,) = use()
    assert (value, hit) == (12, False)
    assert why in told
    assert mc.ENVIRONMENT in told
    assert not mark.exists()


def test_the_payload_is_live(place: Path, tmp_path: Path) -> None:
    """In a file of one's own it runs: what is tested above is not a dud."""
    use()
    for file in place.iterdir():
        file.write_bytes(payload(tmp_path / "mark"))
    use()
    assert (tmp_path / "mark").exists()


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    use()
    for file in place.iterdir():
        file.rename(tmp_path / file.name)
        file.symlink_to(tmp_path / file.name)
    value, hit, (told,) = use()
    assert (value, hit) == (12, False)
    assert "machine code is not kept" in told


def test_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for where in (tmp_path / "file" / "in it", Path("/proc/none")):
        monkeypatch.setenv(mc.ENVIRONMENT, str(where))
        mc._told.clear()
        mc._off.clear()
        value, hit, (told,) = use()
        assert (value, hit) == (12, False)
        assert "machine code is not kept" in told


def test_a_full_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mc.os, "replace", full)
    value, hit, (told,) = use()
    assert (value, hit) == (12, False)
    assert "No space left" in told
    assert list(place.iterdir()) == []


def test_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(mc.ENVIRONMENT)
    assert mc.folder() == tmp_path / "sfx"
    monkeypatch.setenv("XDG_CACHE_HOME", "in/the/working/folder")
    assert mc.folder() == Path.home() / ".cache" / "sfx"


def test_every_kernel_of_ours_is_kept_there(place: Path) -> None:
    """Fast's, the mapper's and the quantizer's; and numba's own cache holds none."""
    code = (
        "import sfx.backends.fast.kernels.sums, sfx.toolchain.compiler.quantize.fit.flips as f\n"
        "import sfx.toolchain.compiler.mapping.anneal as a\n"
        "import sfx.toolchain.compiler.mapping.fill as b\n"
        "import sfx.toolchain.compiler.mapping.swaps as s\n"
        "from numba.core.dispatcher import Dispatcher as D\n"
        "found = [v for m in (f, a, b, s) for v in vars(m).values() if isinstance(v, D)]\n"
        "print(len(found), {v.stats.cache_path for v in found})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, _, where = done.stdout.partition(" ")
    assert int(count) >= 15
    assert where.strip() == str({str(place)})
