"""The Lava backend on small networks: what it records, builds and refuses."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sfx
from sfx.backends.lava import runtime
from sfx.backends.lava.backend import LavaBackend
from sfx.backends.lava.build import to_lava
from sfx.backends.lava.choose import choose
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.errors import BackendError, InputError, MissingPartError, SfxError
from sfx.toolchain.verify.compare import compare
from tests.unit.lava.nets import chain, events, every_kind

ROOT = Path(__file__).parents[3]
lava = pytest.mark.needs_lava


def run_module(name: str, folder: Path) -> None:
    paths = os.pathsep.join([str(Path(sfx.__file__).resolve().parents[1]), str(ROOT)])
    subprocess.run(
        [sys.executable, "-m", f"tests.unit.lava.{name}", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
        timeout=120,
        capture_output=True,
    )


@lava
def test_every_process_equals_the_reference_step_by_step() -> None:
    program = every_kind()
    kinds = Counter(choose(j, program[j.pre]) for j in program.projections)
    assert set(kinds) == {"Conv", "Dense", "DelayDense", "Sparse", "DelaySparse"}
    x = events(program, 3)
    seen: list[tuple[int, int]] = []
    got = LavaBackend().stream(program, x, states=True, progress=lambda *at: seen.append(at))
    verdict = compare(
        program,
        ReferenceBackend().stream(program, x, states=True),
        got,
        against="lava",
        mode="full",
        states=True,
        samples=3,
    )
    assert verdict.first_mismatch is None
    assert verdict.silent == ()
    steps = 3 * 5 + 6
    states = sum(program[n].size for n in ("conv.lif", "lif", "stateless"))
    assert verdict.compared == steps * (sum(q.size for q in program) + 2 * states)
    assert set(got.u) == set(got.v) == {"conv.lif", "lif", "stateless"}
    assert seen[-1] == (steps, steps)
    assert seen == sorted(seen)


@lava
def test_run_gives_the_sums_and_events_of_the_reference() -> None:
    """Streamed back to back here, sample by sample there: the sample reset makes them one."""
    program = every_kind()
    x = events(program, 3)
    got, expected = LavaBackend().run(program, x), ReferenceBackend().run(program, x)
    assert np.array_equal(got.sums, expected.sums)
    assert len(np.unique(got.sums)) > 5
    for name, count in expected.counts.events.items():
        assert np.array_equal(got.counts.events[name], count), name
    assert got.counts.active == {}
    assert got.seconds > 0


@lava
def test_runs_in_threads_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a session of its own; and a user's file called lava.py is not imported."""
    (tmp_path / "lava.py").write_text("raise RuntimeError('not the library')")
    monkeypatch.chdir(tmp_path)
    programs = [chain(1), chain(3)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda q: LavaBackend().stream(q, events(q)), programs))
    for program, got in zip(programs, results, strict=True):
        expected = ReferenceBackend().stream(program, events(program))
        assert got.spikes.keys() == expected.spikes.keys()
        for name, spikes in expected.spikes.items():
            assert spikes.any()
            assert np.array_equal(got.spikes[name], spikes)


@lava
def test_probe_reads_what_intels_monitor_reads(tmp_path: Path) -> None:
    run_module("with_monitor", tmp_path)
    monitor = np.load(tmp_path / "monitor.npz")
    probe = np.load(tmp_path / "states.npy")
    for k, name in enumerate("uv"):
        assert len(np.unique(monitor[name])) > 50
        assert np.array_equal(monitor[name], probe[:, k]), name


@lava
@pytest.mark.parametrize("module", ["as_user", "after_run"])
def test_a_users_own_source_and_sink(module: str, tmp_path: Path) -> None:
    run_module(module, tmp_path)
    out = np.load(tmp_path / "out.npy")
    program = every_kind()
    expected = ReferenceBackend().stream(program, events(program, 2)).spikes["product"]
    assert expected.any()
    assert np.array_equal(out, expected)


@lava
def test_network_has_named_processes_and_flat_ports() -> None:
    program = every_kind()
    handlers = list(logging.getLogger().handlers)
    network = to_lava(program)
    assert logging.getLogger().handlers == handlers, "Lava adds one for every process"
    assert set(network.neurons) == {q.name for q in program} - {"in", "clock"}
    assert set(network.connections) == {j.name for j in program.projections}
    assert (network.input, network.output) == ("in", "product")
    assert set(network.inputs) == {"in", "clock"}
    assert {n: port.shape for n, port in network.outputs.items()} == {
        name: (program[name].size,) for name in network.neurons
    }
    assert type(network.neurons["lif"]).__name__ == "LIFReset"
    assert type(network.neurons["stateless"]).__name__ == "LIF"
    assert network.neurons["conv.lif"].name == "conv_lif"
    names = [x.name for x in [*network.neurons.values(), *network.connections.values()]]
    assert len(set(names)) == len(names)
    assert all(n.replace("_", "a").isalnum() for n in names)


@lava
def test_names_that_become_equal_are_told_apart() -> None:
    program = chain(2)
    renamed = {"lif0": "a.b", "lif1": "a_b"}
    pops = tuple(replace(q, name=renamed.get(q.name, q.name)) for q in program.populations)
    joints = tuple(
        replace(j, pre=renamed.get(j.pre, j.pre), post=renamed.get(j.post, j.post))
        for j in program.projections
    )
    network = to_lava(replace(program, populations=pops, projections=joints))
    assert network.neurons["a.b"].name != network.neurons["a_b"].name


@lava
def test_sample_resets_follow_the_phase() -> None:
    """LIFReset: interval T, offset (phase + 1) mod T, with T where that is 0."""
    neurons = to_lava(chain(5, timesteps=4)).neurons
    for name, offset in {"lif0": 2, "lif1": 3, "lif2": 4, "lif3": 1, "lif4": 2}.items():
        assert neurons[name].proc_params["reset_interval"] == 4
        assert neurons[name].proc_params["reset_offset"] == offset


@lava
def test_drive_refuses_what_does_not_fit() -> None:
    from lava.proc.io.source import RingBuffer

    network = to_lava(chain())
    with pytest.raises(BackendError, match="SFX-E521"):
        network.drive("lif0", RingBuffer(data=np.zeros((6, 3))).s_out)
    with pytest.raises(BackendError, match="SFX-E521"):
        network.drive("in", RingBuffer(data=np.zeros((5, 3))).s_out)


@lava
def test_bad_events_and_unbalanced_programs_are_refused() -> None:
    program = chain()
    x = events(program)
    with pytest.raises(InputError, match="SFX-E510"):
        LavaBackend().stream(program, x[:, :-1])
    with pytest.raises(InputError, match="SFX-E511"):
        LavaBackend().stream(program, x + 1)
    loose = tuple(replace(j, delay=0) for j in program.projections)
    with pytest.raises(SfxError, match="SFX-E512"):
        LavaBackend().stream(replace(program, projections=loose), x)


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (3, 9)])
def test_another_python_is_named(version: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    program = chain()
    for use in (lambda: LavaBackend().stream(program, events(program)), lambda: to_lava(program)):
        with pytest.raises(MissingPartError) as caught:
            use()
        assert caught.value.code == "SFX-E501"
        assert caught.value.exit_status == 3
        assert f"{version[0]}.{version[1]}" in str(caught.value)


def test_lava_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise runtime.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))
    monkeypatch.setattr(runtime.importlib.metadata, "version", missing)
    assert "not installed" in (runtime.available() or "")
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: "0.9.0")
    assert "0.9.0" in (runtime.available() or "")
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: "0.10.0")
    assert runtime.available() is None
