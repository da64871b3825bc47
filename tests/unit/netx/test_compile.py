"""`.net` through the compiler: bundle, run, report, inspect, and Lava as the witness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.errors import SfxError
from tests.unit.netx import files


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write(tmp_path_factory.mktemp("net") / "small.net", files.live_conv_net())


def events(bundle: api.Bundle) -> Data:
    program = bundle.program
    shape = (3, program.timesteps, *program.input.shape)
    return Data(np.random.default_rng(0).integers(0, 2, shape), None)


def test_a_bundle_runs_what_the_file_says(path: Path, tmp_path: Path) -> None:
    """Compiled, written and read back: the spike counts of the Program layer by layer."""
    bundle = api.compile(path)
    api.save(bundle, tmp_path / "small.sfx")
    assert bundle.manifest["statistics"]["cores"] == bundle.placed.cores
    loaded, data = api.load(tmp_path / "small.sfx"), events(bundle)
    assert loaded.nir == b""
    result = api.run(loaded, data)
    expected = ReferenceBackend().layers(read(path), data.x)[bundle.program.readout.population]
    assert expected.any()
    assert np.array_equal(result.sums, expected.sum(axis=1))
    report = api.report(loaded, data)
    assert report["quantization"] == []


def test_equal_files_give_equal_bundles(path: Path, tmp_path: Path) -> None:
    for name in ("a.sfx", "b.sfx"):
        api.save(api.compile(path), tmp_path / name)
    assert (tmp_path / "a.sfx").read_bytes() == (tmp_path / "b.sfx").read_bytes()


def test_timesteps_replace_those_of_the_file(path: Path) -> None:
    assert api.compile(path).program.timesteps == 8
    assert api.compile(path, timesteps=5).program.timesteps == 5


def test_calibration_is_refused(path: Path) -> None:
    data = events(api.compile(path))
    with pytest.raises(SfxError, match="SFX-E621"):
        api.compile(path, calibrate=data)


def test_inspect_shows_the_program(tmp_path: Path) -> None:
    """Also where the file does not say T."""
    net = files.write(tmp_path / "small.net", files.live_conv_net(), steps=None)
    text = api.inspect(net)
    for name in ("conv1", "conv2", "dense4", "dense5"):
        assert name in text


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.net").write_bytes(b"\x89HDF\r\n\x1a\n")
    for call in (api.compile, api.inspect):
        with pytest.raises(SfxError, match="SFX-E160"):
            call(tmp_path / "broken.net")


@pytest.mark.needs_lava
def test_lava_agrees(path: Path) -> None:
    """Our own Lava network of the same bundle: every spike, u and v."""
    bundle = api.compile(path)
    verdict = api.verify(bundle, events(bundle).x[:2], states=True)
    assert verdict.equal
