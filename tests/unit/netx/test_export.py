"""A Program written as `.net` runs in lava-dl's own netx on Lava, spike for spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.netx.read import read
from sfx.toolchain.formats.netx.write import export
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir.program import LIF, Product, Program
from tests.unit.netx import files
from tests.unit.netx.beside import run_netx
from tests.unit.netx.test_against_netx import SAMPLES


def balanced(path: Path) -> Program:
    return BalanceDelays(max_delay=62).run(read(path, data="raw"))


def written(folder: Path, name: str, layers: list[files.Fields]) -> Program:
    return balanced(files.write(folder / f"{name}.net", layers))


def integrate_and_fire() -> Program:
    """conv, OR pool, dense, read-out: compiled from torch, IF neurons, exponents above 0."""
    torch = pytest.importorskip("torch")
    norse = pytest.importorskip("norse.torch")
    from sfx.frontends.neurons.multistep import MultiStep
    from sfx.toolchain.data import Data

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            p = norse.IAFParameters(v_th=torch.tensor(1.5))
            self.conv, self.a = torch.nn.Conv2d(2, 4, 3, padding=1), MultiStep(norse.IAFCell(p))
            self.pool = torch.nn.MaxPool2d(2)
            self.fc, self.b = torch.nn.Linear(36, 8), MultiStep(norse.IAFCell(p))
            self.head = torch.nn.Linear(8, 3)

        def forward(self, x):
            steps = x.shape[:2]
            y = self.pool(self.a(self.conv(x.flatten(0, 1)).unflatten(0, steps)).flatten(0, 1))
            return self.head(self.b(self.fc(y.flatten(1)).unflatten(0, steps))).mean(0)

    net, generator = Net().eval(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randint(-5, 6, p.shape, generator=generator) / 4)
    x = (np.random.default_rng(0).random((8, 6, 2, 6, 6)) < 0.4).astype(int)
    graph = api.export(net, torch.zeros(6, 1, 2, 6, 6))
    return api.compile(graph, calibrate=Data(x, None)).program


@pytest.mark.needs_torch
@pytest.mark.needs_lava
def test_netx_runs_the_file_as_the_reference_runs_the_program(tmp_path: Path) -> None:
    programs = {
        "compiled": integrate_and_fire(),
        "grouped": written(tmp_path, "source", files.live_conv_net()),
    }
    (tmp_path / "source.net").unlink()
    exps = [j.weight_exp for j in programs["compiled"].projections]
    assert max(exps) > 0, "nothing is divided"
    rng, samples = np.random.default_rng(2), {}
    for name, program in programs.items():
        left_out = api.export_netx(program, tmp_path / f"{name}.net")
        assert left_out == ("output" if name == "compiled" else "")
        x = rng.integers(0, 2, (SAMPLES, program.timesteps, *program.input.shape))
        frames = np.zeros(
            (SAMPLES * program.timesteps + program.last_phase, *program.input.shape), np.int64
        )
        frames[: SAMPLES * program.timesteps] = x.reshape(-1, *program.input.shape)
        np.savez(tmp_path / f"{name}.job.npz", x=frames, interval=program.timesteps, image=False)
        samples[name] = x
    run_netx(tmp_path)
    for name, program in programs.items():
        ours = ReferenceBackend().stream(program, samples[name])
        layers = [p for p in program if isinstance(p.neuron, LIF)]
        with np.load(tmp_path / f"{name}.out.npz") as out:
            assert len(out.files) == len(layers) + 1  # and v
            for i, layer in enumerate(layers):
                # before its phase a layer without a sample may differ: it was reset otherwise
                want = ours.spikes[layer.name].reshape(ours.steps, -1)[layer.phase :]
                got = out[str(i)].reshape(ours.steps, -1)[layer.phase :]
                assert 0.01 < want.mean() < 0.99, f"{name}, {layer.name} says nothing"
                assert np.array_equal(got, want), f"{name}, {layer.name}"


def test_a_file_of_netx_is_written_back_as_it_was(tmp_path: Path) -> None:
    for name, layers in {"conv": files.live_conv_net(), **files.live_dense_nets()}.items():
        program = written(tmp_path, name, layers)
        api.export_netx(program, tmp_path / "again.net")
        again = balanced(tmp_path / "again.net")
        assert (tmp_path / "again.net").read_bytes() == export(again).content
        x = np.random.default_rng(3).integers(0, 2, (2, program.timesteps, *program.input.shape))
        mine = ReferenceBackend().layers(program, x)
        theirs = ReferenceBackend().layers(again, x)
        for ours, other in zip(program.populations, again.populations, strict=True):
            assert np.array_equal(
                mine[ours.name].reshape(2, program.timesteps, -1),
                theirs[other.name].reshape(2, program.timesteps, -1),
            ), (name, ours.name)


CHANGES: dict[str, tuple[Callable[[Program], Program], str]] = {
    "exponent": (
        lambda p: replace(p, projections=tuple(replace(j, weight_exp=7) for j in p.projections)),
        "with their exponent, netx's are -256..254",
    ),
    "rounded sums": (
        lambda p: replace(p, projections=tuple(replace(j, weight_exp=-3) for j in p.projections)),
        "rounds sums",
    ),
    "a skip": (
        lambda p: replace(
            p, projections=(*p.projections, replace(p.projections[-1], name="skip", pre="input"))
        ),
        "sends to .* and .*, netx has no branches",
    ),
    "other neurons": (
        lambda p: replace(
            p, populations=(*p.populations[:2], replace(p.populations[2], neuron=Product()),
                            *p.populations[3:])
        ),
        "its neurons are Product, netx has LIF only",
    ),
    "recurrent": (
        lambda p: replace(p, projections=(replace(p.projections[0], lag=1), *p.projections[1:])),
        "a recurrent or delayed connection",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
def test_what_netx_has_no_form_for_is_refused_by_population(tmp_path: Path, how: str) -> None:
    change, text = CHANGES[how]
    program = written(tmp_path, "net", files.live_conv_net())
    with pytest.raises(UnsupportedError, match=text) as caught:
        api.export_netx(change(program), tmp_path / "out.net")
    assert {p.code for p in caught.value.problems} == {"SFX-E642"}
    assert not (tmp_path / "out.net").exists()


def test_a_population_that_receives_nothing_is_refused(tmp_path: Path) -> None:
    """As a constant drive that quantization adds: it has a bias and no synapses."""
    program = written(tmp_path, "plain", files.live_conv_net())
    alone = tuple(j for j in program.projections if j.post != program.populations[1].name)
    with pytest.raises(UnsupportedError, match="receives nothing"):
        export(replace(program, projections=alone))


def test_an_input_layer_with_neurons_comes_back(tmp_path: Path) -> None:
    """What reads pixels in lava-dl's own nets is written as such a layer again."""
    program = written(tmp_path, "image", files.live_image_net())
    assert program.input.graded
    again = tmp_path / "again.net"
    api.export_netx(program, again)
    back = balanced(again)
    assert [(q.name, q.shape) for q in back] == [(q.name, q.shape) for q in program]
    x = np.random.default_rng(0).integers(0, 256, (2, program.timesteps, *program.input.shape))
    ours, theirs = (ReferenceBackend().layers(q, x) for q in (program, back))
    assert all(s.any() and np.array_equal(s, theirs[n]) for n, s in ours.items())
