"""A fine-tuned bundle as NIR: its float view for others, its integers for sfx; and as ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

import nir  # noqa: E402
from torch import nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.neurons.ge_lif import ge_lif  # noqa: E402
from sfx.toolchain.app.api import exporting  # noqa: E402
from sfx.toolchain.formats.bundle.bundle import Bundle  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError  # noqa: E402
from tests.unit.qat.nets import events, labels, prepared, train  # noqa: E402

SAMPLES = 8


class Mlp(nn.Module):
    """Two layers with hard resets."""

    def __init__(self, readout: bool) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.fc1, self.fc2 = nn.Linear(128, 24), nn.Linear(24, 4)
        self.lif1, self.lif2 = ge_lif(), ge_lif() if readout else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif2(8 * self.fc2(self.lif1(3 * self.fc1(x.flatten(2))))).mean(0)


def tuned(kind: str) -> Bundle:
    """Fine-tuned at 4 bits, so that its weights are not those of any float net."""
    x = events(SAMPLES, seed=3)
    if kind in ("spatial", "joint"):
        model = prepared(kind, causal=kind == "joint", bits=4)
    else:
        net = Mlp(readout=kind == "spikes").eval()
        options = sfx.qat.Options(bits=4, effort=0.1)
        model = sfx.qat.prepare(net, calibrate=x, options=options, check=False)
    train(model, x, labels(SAMPLES), steps=2, rate=4e-3)
    return sfx.compile(model)


@pytest.mark.parametrize("kind", ["spikes", "currents", "spatial", "joint"])
def test_the_file_gives_the_same_program(kind: str, tmp_path: Path) -> None:
    bundle = tuned(kind)
    path = tmp_path / "tuned.nir"
    assert exporting.nir(bundle, path, standard_only=False) == ""
    for source in (path, nir.read(path)):
        again = sfx.compile(source)
        assert again.manifest["program"] == bundle.manifest["program"]
        assert again.manifest["qat"] == bundle.manifest["qat"]
        assert set(again.manifest["qat"]["weight_bits"].values()) == {4}
    x = events(SAMPLES, seed=3)
    assert np.array_equal(sfx.run(again, x).sums, sfx.run(bundle, x).sums)
    assert sfx.run(bundle, x).sums.any()
    held = {type(n).__name__ for n in nir.read(path).nodes.values()}
    assert ("Integers" in held) == (kind == "joint")  # which a clock clears


@pytest.mark.parametrize("kind", ["spikes", "currents", "spatial"])
def test_the_float_view_computes_the_same(kind: str, tmp_path: Path) -> None:
    """Without the integers the nodes are a float model: nothing of it is rounded at 8 bits."""
    bundle, x = tuned(kind), events(SAMPLES, seed=3)
    exporting.nir(bundle, tmp_path / "tuned.nir", standard_only=False)
    graph = nir.read(tmp_path / "tuned.nir")
    del graph.metadata["integers"]
    program = sfx.compile(graph, calibrate=x).program
    got = sfx.run(program, x).sums / program.readout.scale
    want = sfx.run(bundle, x).sums / bundle.program.readout.scale
    assert np.ptp(want) > 0.1
    assert np.allclose(got, want, atol=0.02 * np.ptp(want))
    assert np.mean(got.argmax(1) == want.argmax(1)) >= 0.8


def test_norse_reads_the_float_view(tmp_path: Path) -> None:
    """Standard nodes, and R is 1: its spikes are the Program's but where a float differs."""
    norse = pytest.importorskip("norse.torch")
    bundle, x = tuned("spikes"), events(SAMPLES, seed=3)
    exporting.nir(bundle, tmp_path / "tuned.nir", standard_only=True)
    net = norse.from_nir(nir.read(tmp_path / "tuned.nir"), dt=1e-3)
    got = np.zeros((SAMPLES, 4))
    for k, sample in enumerate(torch.from_numpy(x).float()):  # its Flatten takes no batch
        state = None
        for step in sample:
            spikes, state = net(step, state)
            got[k] += spikes.detach().numpy()
    want = sfx.run(bundle, x).sums / bundle.program.readout.scale * x.shape[1]
    assert want.sum() > SAMPLES
    assert np.mean(got == want.round()) > 0.9


def test_what_was_changed_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "tuned.nir"
    exporting.nir(tuned("spikes"), path, standard_only=False)
    graph = nir.read(path)
    affine = next(n for n in graph.nodes.values() if isinstance(n, nir.Affine))
    affine.weight = affine.weight.copy()
    affine.weight[0, 0] += 0.5
    with pytest.raises(InputError, match="SFX-E232"):
        sfx.compile(graph)
    for text in ("{", "[]", json.dumps({"program": {}, "arrays": [], "bits": {}}), "7"):
        graph.metadata["integers"] = text
        with pytest.raises(SfxError, match="SFX-E232"):
            sfx.compile(graph)


def test_it_is_no_float_model(tmp_path: Path) -> None:
    path = tmp_path / "tuned.nir"
    exporting.nir(tuned("spikes"), path, standard_only=False)
    with pytest.raises(InputError, match="SFX-E364"):
        sfx.qat.prepare(path, calibrate=events(SAMPLES))
    with pytest.raises(SfxError, match="SFX-E641"):
        exporting.nir(tuned("joint"), tmp_path / "standard.nir", standard_only=True)
    assert not (tmp_path / "standard.nir").exists()


@pytest.mark.parametrize("kind", ["spikes", "spatial"])
def test_onnx(kind: str, tmp_path: Path) -> None:
    """ONNX Runtime sends the same sums."""
    pytest.importorskip("onnxruntime")
    bundle, x = tuned(kind), events(SAMPLES, seed=3)
    exporting.onnx(bundle, tmp_path / "tuned.onnx", standard_only=False)
    assert (tmp_path / "tuned.onnx").stat().st_size > 1000
    got = sfx.run(bundle, x, backend_name="onnx").sums
    want = sfx.run(bundle, x, backend_name="reference").sums
    assert np.array_equal(got, want)
    assert want.any()
