"""model.sfx: what goes in comes out, every flipped byte is noticed, nothing is half-written."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.codec import CodecError, decode, encode
from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.ir.text import program_text
from sfx.toolchain.targets import load as load_target
from tests.graphs import live_case


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    graph, x = live_case(False, True, 1)
    compiled = compile_graph(graph, load_target("loihi"), x)
    return Bundle(compiled.placed, b"nir", {"model": {"name": "test", "sha256": ""}})


@pytest.fixture(scope="module")
def content(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "m.sfx"
    bundles.write(bundle, path)
    return path.read_bytes()


def test_round_trip(bundle: Bundle, tmp_path: Path) -> None:
    bundles.write(bundle, tmp_path / "m.sfx")
    again = bundles.read(tmp_path / "m.sfx")
    assert program_text(again.program) == program_text(bundle.program)
    for a, b in zip(bundle.program.projections, again.program.projections, strict=True):
        if hasattr(a.connection, "weight"):
            assert np.array_equal(a.connection.weight, b.connection.weight)
    assert again.placed.blocks == bundle.placed.blocks
    assert again.nir == b"nir"
    assert again.manifest["model"]["name"] == "test"


def test_it_is_a_zip_anyone_can_open(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.sfx").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "m.sfx") as z:
        assert z.testzip() is None
        assert json.loads(z.read("manifest.json"))["schema_version"] == bundles.SCHEMA_VERSION


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_noticed(
    content: bytes, tmp_path: Path, where: float, bit: int
) -> None:
    damaged = bytearray(content)
    damaged[int(where * len(content))] ^= 1 << bit
    (tmp_path / "m.sfx").write_bytes(damaged)
    with pytest.raises(InputError, match="SFX-E60"):
        bundles.read(tmp_path / "m.sfx")


def test_other_schema_versions_are_named(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.sfx"
    bundles.write(bundle, path)
    with zipfile.ZipFile(path) as z:
        entries = {n: z.read(n) for n in z.namelist()}
    manifest = json.loads(entries["manifest.json"]) | {"schema_version": 99}
    entries["manifest.json"] = json.dumps(manifest).encode()
    path.write_bytes(bundles.pack(entries))
    with pytest.raises(InputError, match=r"SFX-E602.*schema 99"):
        bundles.read(path)


def test_failed_write_leaves_the_old_file(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.sfx"
    path.write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InputError, match="SFX-E603"):
        bundles.write(bundle, tmp_path / "absent" / "m.sfx")
    broken = replace(bundle, manifest={"not json": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        bundles.write(broken, path)
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("blocks"),
        lambda d: d.update(extra=1),
        lambda d: d.update(type="Evil"),
        lambda d: d["program"].update(timesteps="8"),
        lambda d: d["program"]["populations"][0].update(neuron={"type": "Conv2d"}),
        lambda d: d["program"]["projections"][0]["connection"].update(weight={"array": 10**6}),
        lambda d: d["program"].update(populations={"a": 1}),
    ],
)
def test_the_decoder_makes_nothing_it_does_not_know(bundle: Bundle, change: object) -> None:
    arrays: list[np.ndarray] = []
    data = encode(bundle.placed, arrays)
    assert callable(change)
    change(data)
    with pytest.raises(CodecError):
        decode(data, arrays, PlacedProgram)
