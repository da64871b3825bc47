"""Broken, hostile and unsupported `.net` files: refused with a code, the place and a reason."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sfx.toolchain.formats.netx.file import INSTEAD
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.errors import SfxError
from tests.unit.netx import files


def refused(path: Path, code: str, *words: str, **options: Any) -> str:
    with pytest.raises(SfxError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert caught.value.code == code, message
    for word in words:
        assert word in message, message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound file, to be damaged."""
    out = files.write(tmp_path / "model.net", files.live_conv_net())
    read(out)
    return out


def test_absent_and_no_hdf5(tmp_path: Path) -> None:
    refused(tmp_path / "absent.net", "SFX-E160")
    (tmp_path / "text.net").write_text("layer")
    refused(tmp_path / "text.net", "SFX-E160", "HDF5")
    refused(tmp_path, "SFX-E160")


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.95])
def test_truncated(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refused(path, "SFX-E160")


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bytes_give_no_traceback(path: Path, seed: int) -> None:
    """A damaged file is refused, or its damage lies where nothing is read."""
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for at in rng.integers(0, len(data), 1 + seed // 4):
        data[at] ^= int(rng.integers(1, 256))
    path.write_bytes(data)
    with contextlib.suppress(SfxError):
        read(path)


def test_no_layers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "empty.net", "w"):
        pass
    refused(tmp_path / "empty.net", "SFX-E160", "'layer'")


def test_a_missing_layer(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/2"]
    refused(path, "SFX-E160", "numbered")


@pytest.mark.parametrize(
    "field", ["weight", "shape", "type", "stride", "groups", "neuron/vThMant", "neuron/type"]
)
def test_a_missing_field(path: Path, field: str) -> None:
    with h5py.File(path, "a") as file:
        del file[f"layer/1/{field}"]
    refused(path, "SFX-E163", "layer/1", field.split("/")[-1])


def test_a_missing_neuron(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron"]
    refused(path, "SFX-E162", "layer/1", "neuron")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("weight", np.full((4, 1, 3, 2), 0.5), "SFX-E163"),
        ("weight", np.full((4, 1, 3, 2), np.nan), "SFX-E163"),
        ("weight", np.full((4, 1, 3, 2), 1e30), "SFX-E163"),
        ("weight", np.array([b"text"]), "SFX-E163"),
        ("weight", np.zeros((0, 1, 3, 2)), "SFX-E163"),
        ("weight", np.full((4, 1, 3, 2), 300), "SFX-E164"),
        ("weight", np.ones((4, 1, 4, 2), int), "SFX-E165"),
        ("weight", np.ones((4, 3), int), "SFX-E163"),
        ("bias", np.ones(3, int), "SFX-E165"),
        ("shape", np.array([4, 6, 3]), "SFX-E165"),
        ("shape", np.array([1 << 30, 1 << 30, 1 << 30]), "SFX-E165"),
        ("shape", np.array([4, 0, 2]), "SFX-E163"),
        ("shape", np.array([4, 6]), "SFX-E163"),
        ("stride", np.array([0, 0]), "SFX-E165"),
        ("stride", np.array([1, 1, 1]), "SFX-E163"),
        ("groups", 3, "SFX-E165"),
        ("padding", -1, "SFX-E165"),
        ("delay", np.array([0, 1, 2, 3, 4]), "SFX-E162"),
        ("delay", np.array([0, 1, 2, 63]), "SFX-E162"),
        ("delay", np.array([0, 1, 2, -1]), "SFX-E162"),
        ("delay", np.array([0, 1, 2, 0.5]), "SFX-E163"),
        ("neuron/vDecay", 4096, "SFX-E162"),
        ("neuron/iDecay", -1, "SFX-E162"),
        ("neuron/vThMant", 1 << 17, "SFX-E162"),
        ("neuron/refDelay", 2, "SFX-E162"),
        ("neuron/gradedSpike", True, "SFX-E162"),
    ],
)
def test_a_wrong_field(path: Path, field: str, value: Any, code: str) -> None:
    with h5py.File(path, "a") as file:
        if f"layer/1/{field}" in file:
            del file[f"layer/1/{field}"]
        file[f"layer/1/{field}"] = value
    refused(path, code, "layer/1")


@pytest.mark.parametrize("kind", ["pool", "average", "unpool", "convT", "concat"])
def test_unsupported_layers_are_named(path: Path, kind: str) -> None:
    with h5py.File(path, "a") as file:
        for i in (1, 2):  # both are reported
            del file[f"layer/{i}/type"]
            file[f"layer/{i}/type"] = np.array([kind.encode()], "S10")
    message = refused(path, "SFX-E161", repr(kind), "layer/1", "layer/2")
    assert INSTEAD.get(kind, "conv, flatten, dense") in message


@pytest.mark.parametrize("kind", ["RF_PHASE", "ALIF"])
def test_unsupported_neurons_are_named(path: Path, kind: str) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron/type"]
        file["layer/1/neuron/type"] = kind.encode()
    refused(path, "SFX-E162", repr(kind), "layer/1", "CUBA")


def test_sigma_delta_and_spiking_layers_do_not_mix(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron/type"]
        file["layer/1/neuron/type"] = b"SDNN"
    refused(path, "SFX-E162", "sigma-delta and spiking layers", "two networks")


def test_links_to_other_places(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["w"] = np.ones((4, 1, 3, 2))
    with h5py.File(path, "a") as file:
        del file["layer/1/weight"]
        file["layer/1/weight"] = h5py.ExternalLink("other.h5", "/w")
    refused(path, "SFX-E160", "link")
    with h5py.File(path, "a") as file:
        del file["layer/1/weight"]
        file["layer/1/weight"] = h5py.SoftLink("/layer/2/weight")
    refused(path, "SFX-E160", "link")


def test_data_in_another_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(4 * 6 * 8))
    with h5py.File(path, "a") as file:
        del file["layer/1/weight"]
        outside = [(str(tmp_path / "raw"), 0, 4 * 6 * 8)]
        file.create_dataset("layer/1/weight", (4, 1, 3, 2), "f8", external=outside)
    refused(path, "SFX-E160", "another file")


def test_a_long_name(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron/type"]
        file["layer/1/neuron/type"] = b"CUBA" * 100
    refused(path, "SFX-E163", "layer/1/neuron")


def test_a_group_inside_itself(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["layer/1/again"] = file["layer/1"]
    refused(path, "SFX-E160", "nested")


def test_a_few_bytes_that_unpack_to_terabytes(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/weight"]
        shape, chunk = (1 << 20, 1 << 20), (1 << 10, 1 << 10)
        file.create_dataset("layer/1/weight", shape, "i1", chunks=chunk, compression="gzip")
    assert path.stat().st_size < 1 << 20
    refused(path, "SFX-E160", "unpacks to")


def test_a_huge_input(tmp_path: Path) -> None:
    layers = files.live_image_net()
    layers[0] = {**layers[0], "shape": np.array([2, 1 << 20, 1 << 20])}
    refused(files.write(tmp_path / "model.net", layers), "SFX-E165", "layer/0")


def test_dense_after_conv_needs_flatten(tmp_path: Path) -> None:
    layers = [layer for layer in files.live_conv_net() if layer["type"] != "flatten"]
    refused(files.write(tmp_path / "model.net", layers), "SFX-E165", "flatten")


def test_conv_needs_an_input_shape(tmp_path: Path) -> None:
    layers = files.live_conv_net()[1:]
    refused(files.write(tmp_path / "model.net", layers), "SFX-E165", "input")


def test_steps_must_be_known(tmp_path: Path) -> None:
    path = files.write(tmp_path / "model.net", files.live_image_net(), steps=None)
    refused(path, "SFX-E166", "--timesteps")
    refused(path, "SFX-E166", timesteps=0)
    assert read(path, timesteps=5, data="raw").timesteps == 5


@pytest.mark.parametrize("low", [-300, -256])
def test_weights_that_no_synapse_holds(tmp_path: Path, low: int) -> None:
    """Beyond the range, or -256 among odd weights."""
    weight = np.full((4, 1, 3, 2), 3)
    weight[0] = low
    layers = files.live_conv_net()
    layers[1] = {**layers[1], "weight": weight}
    refused(files.write(tmp_path / "model.net", layers), "SFX-E164", "layer/1", str(low))


def test_negative_dense_weights_below_the_range(tmp_path: Path) -> None:
    """netx would turn them into zeros."""
    layers = [files.dense(np.full((2, 3), -300), files.neuron(4096, 0, 5))]
    refused(files.write(tmp_path / "model.net", layers), "SFX-E164", "-300")
