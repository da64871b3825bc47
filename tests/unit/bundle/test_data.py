"""DATA files: what is read, and that a wrong file is refused with what was expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.data import check_input, read
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.program import Input, Population


def test_reads_samples_and_labels(tmp_path: Path) -> None:
    x = np.ones((5, 4, 2, 3, 3), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(5))
    data = read(tmp_path / "d.npz", limit=3)
    assert data.x.shape == (3, 4, 2, 3, 3)
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 2]


def test_whole_floats_are_events(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((2, 3, 4), np.float32))
    assert read(tmp_path / "d.npz").x.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"z": np.ones(3)}, "SFX-E610"),
        ({"x": np.array([[0.5]])}, "SFX-E611"),
        ({"x": np.array([[np.nan]])}, "SFX-E611"),
        ({"x": np.ones(3)}, "SFX-E611"),
        ({"x": np.ones((0, 3))}, "SFX-E611"),
        ({"x": np.array([["a"]])}, "SFX-E611"),
        ({"x": np.ones((3, 2)), "y": np.ones(4, int)}, "SFX-E611"),
        ({"x": np.array([[{}]], dtype=object)}, "SFX-E610"),
    ],
)
def test_wrong_contents_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], code: str
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "d.npz")
    assert caught.value.code == code


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", b"x" * 999])
def test_files_that_are_no_npz_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(InputError):
        read(tmp_path / "d.npz")


def test_missing_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "absent.npz")
    np.savez_compressed(tmp_path / "d.npz", x=np.random.default_rng(0).integers(0, 9, (50, 40, 30)))
    whole = (tmp_path / "d.npz").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 30):
        (tmp_path / "t.npz").write_bytes(whole[:cut])
        with pytest.raises(InputError):
            read(tmp_path / "t.npz")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    (tmp_path / "b.npz").write_bytes(damaged)
    with pytest.raises(InputError):
        read(tmp_path / "b.npz")


@pytest.mark.parametrize("x", [np.ones((2, 4, 3)), np.full((2, 5, 3), 2), np.full((2, 5, 3), -1)])
def test_input_that_does_not_fit_is_refused(x: np.ndarray) -> None:
    code = "SFX-E616" if x.min() < 0 else "SFX-E612"
    with pytest.raises(InputError, match=code):
        check_input(x.astype(np.int64), Population("in", (3,), Input()), 5, "d.npz")


def test_a_signed_input_takes_either_sign() -> None:
    signed = Population("in", (3,), Input(2, 1), -3, 3)
    check_input(np.full((2, 5, 3), -3), signed, 5, "d.npz")
    with pytest.raises(InputError, match=r"SFX-E612.*reach -4, but the input takes -3..3"):
        check_input(np.full((2, 5, 3), -4), signed, 5, "d.npz")
