"""What the input neurons of a `.net` take: int(weight x + bias), applied once and never twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ground.errors import InputError
from tests.unit.netx import files


def net(folder: Path, **transform: Any) -> Path:
    """The image net with this transform in place of 40 x + 36; None leaves a field out."""
    layers = files.live_image_net()
    layers[0] = {k: v for k, v in (dict(layers[0]) | transform).items() if v is not None}
    return files.write(folder / "image.net", layers)


def samples(high: int) -> IntArray:
    rng = np.random.default_rng(1)
    return np.broadcast_to(rng.integers(0, high, (2, 1, 2, 5, 4)), (2, 8, 2, 5, 4))


@pytest.mark.parametrize(("weight", "bias"), [(40, 36), (64, 0), (37, -50), (-20, 200), (256, 0)])
def test_the_transform_is_the_whole_numbers_of_netx(tmp_path: Path, weight: int, bias: int) -> None:
    """Raw samples give every spike and membrane of their transformed numbers, negative or not.

    That transformed numbers are what netx takes as bias: `test_against_netx`.
    """
    x = samples(4)
    raw = read(net(tmp_path, weight=float(weight), bias=float(bias)), data="raw")
    plain = read(net(tmp_path), data="transformed", input_bits=24)
    ours = ReferenceBackend().layers(raw, x)
    numbers = weight * x + bias
    signs = [np.maximum(numbers, 0), np.maximum(-numbers, 0)]
    if signs[1].any():  # events are not negative: compare where a neuron's numbers all are not
        keep = ~signs[1].any((0, 1))
        theirs = ReferenceBackend().layers(plain, signs[0])
        assert np.array_equal(ours["input0"][..., keep], theirs["input0"][..., keep])
        assert ours["input0"][..., keep].any()
        return
    theirs = ReferenceBackend().layers(plain, numbers)
    for layer in ("input0", "conv1"):
        assert 0 < ours[layer].mean() < 1
        assert np.array_equal(ours[layer], theirs[layer])


def test_it_is_asked_for_where_the_file_leaves_a_doubt(tmp_path: Path) -> None:
    path = net(tmp_path)
    with pytest.raises(InputError, match=r"(?s)SFX-E173.*40 x \+ 36.*--net-input"):
        api.compile(path)
    with pytest.raises(InputError, match=r"SFX-E173.*'pixels'"):
        api.compile(path, net_input="pixels")


@pytest.mark.parametrize(
    "transform", [{"weight": None, "bias": None}, {"weight": 64.0, "bias": 0.0}]
)
def test_a_plain_input_is_raw(tmp_path: Path, transform: dict[str, Any]) -> None:
    """netx multiplies by 64 where the file says nothing, as slayer's fixed point does."""
    path = net(tmp_path, **transform)
    x = samples(4)
    found = api.run(api.compile(path), Data(x, None)).sums
    assert found.any()
    already = api.compile(path, net_input="transformed")
    assert np.array_equal(api.run(already, Data(64 * x, None)).sums, found)


def test_the_bundle_says_what_its_data_holds(tmp_path: Path) -> None:
    path = net(tmp_path)
    assert "take 40 x + 36 of a sample x" in api.inspect(path)
    for kind, said in (("raw", "the Program applies it"), ("transformed", "that number already")):
        bundle = api.compile(path, net_input=kind)
        assert bundle.manifest["net_input"] == {"weight": 40, "bias": 36, "data": kind}
        api.save(bundle, tmp_path / "image.sfx")
        assert said in api.inspect(tmp_path / "image.sfx").splitlines()[0]


@pytest.mark.parametrize("kind", ["raw", "transformed"])
def test_an_exported_file_takes_the_same_data(tmp_path: Path, kind: str) -> None:
    """The transform of raw DATA is written back; transformed DATA is written as 1 x."""
    bundle = api.compile(net(tmp_path), net_input=kind)
    api.export_netx(bundle, tmp_path / "out.net")
    x = samples(4 if kind == "raw" else 150)
    want = api.run(bundle, Data(x, None)).sums
    again = api.compile(tmp_path / "out.net", net_input=kind if kind == "raw" else None)
    assert want.any()
    assert np.array_equal(api.run(again, Data(x, None)).sums, want)


def test_a_transform_that_no_synapse_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SFX-E164.*257"):
        read(net(tmp_path, weight=257.0), data="raw")
    with pytest.raises(InputError, match=r"SFX-E164.*5000"):
        read(net(tmp_path, bias=5000.0), data="raw")
