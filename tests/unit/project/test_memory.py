"""What cannot fit is refused before it starts, with the number."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.plan.prepared import Prepared
from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import compile_graph, compile_program, lower
from sfx.toolchain.compiler.mapping.place import place
from sfx.toolchain.data import Data, read
from sfx.toolchain.data.read import taken
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ground import control_groups, memory
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ground.folder import ROOT
from sfx.toolchain.ir import memory_use
from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.targets import load
from sfx.toolchain.targets.table import to_table
from tests.graphs import live_case
from tests.strategies import random_events, random_program

PROGRAM = random_program(3)
X = random_events(PROGRAM, 2)


def scarce(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(memory, "free", lambda: free)


@pytest.mark.parametrize(("limit", "counted"), [("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")])
def test_free_heeds_the_limits_of_the_process(limit: str, counted: str) -> None:
    kind = getattr(resource, limit)
    soft, hard = resource.getrlimit(kind)
    before = memory.free()
    taken = getattr(memory.psutil.Process().memory_info(), counted)
    try:
        resource.setrlimit(kind, (taken + (64 << 20), hard))
        assert memory.free() <= 64 << 20 < before
    finally:
        resource.setrlimit(kind, (soft, hard))


def group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


V2 = {"memory.current": "900\n", "memory.stat": "anon 500\nactive_file 100\ninactive_file 200\n"}
V1 = {
    "memory.usage_in_bytes": "900\n",
    "memory.stat": "inactive_file 7\ntotal_active_file 100\ntotal_inactive_file 200\n",
}
FREE1 = {"memory.limit_in_bytes": "9223372036854771712\n"}
"""What version 1 writes where there is no limit."""


@pytest.mark.parametrize(
    ("membership", "groups", "left"),
    [
        pytest.param("0::/\n", {".": V2 | {"memory.max": "max\n"}}, [], id="v2 no limit"),
        pytest.param("0::/\n", {".": V2 | {"memory.max": "1000\n"}}, [400], id="v2 container"),
        pytest.param(
            "0::/a/b\n",
            {"a": V2 | {"memory.max": "1000\n"}, "a/b": V2 | {"memory.max": "max\n"}},
            [400],
            id="v2 limit above the own group",
        ),
        pytest.param(
            "0::/a/b\n",
            {"a": V2 | {"memory.max": "5000\n"}, "a/b": V2 | {"memory.max": "1000\n"}},
            [4400, 400],
            id="v2 nested limits",
        ),
        pytest.param(
            "0::/a\n",
            {"a": V2 | {"memory.max": "9000\n", "memory.high": "1000\n"}},
            [400],
            id="v2 soft limit",
        ),
        pytest.param(
            "3:cpu:/\n4:memory:/job/7\n",
            {
                "memory": V1 | FREE1,
                "memory/job": V1 | {"memory.limit_in_bytes": "2000\n"},
                "memory/job/7": V1 | FREE1,
            },
            [1400],
            id="v1 limit above the own group",
        ),
        pytest.param(
            "2:cpuset,memory:/not/seen/here\n",
            {"memory": V1 | {"memory.limit_in_bytes": "1000\n"}},
            [400],
            id="v1 namespace",
        ),
        pytest.param(
            "4:memory:/x\n0::/x\n",
            {
                "unified/x": V2 | {"memory.max": "3000\n"},
                "memory/x": V1 | {"memory.limit_in_bytes": "1000\n"},
            },
            [2400, 400],
            id="both versions",
        ),
        pytest.param("0::/../..\n", {".": V2 | {"memory.max": "1000\n"}}, [400], id="dots"),
        pytest.param("nonsense\n", {".": {"memory.max": "x"}}, [], id="damaged"),
    ],
)
def test_what_control_groups_leave(
    tmp_path: Path, membership: str, groups: dict[str, dict[str, str]], left: list[int]
) -> None:
    """Every level counts; files that a group caches give way (900 used, 300 of them cached)."""
    (tmp_path / "cgroup").write_text(membership)
    for name, files in groups.items():
        group(tmp_path / "fs" / name, files)
    assert control_groups.left(tmp_path / "cgroup", tmp_path / "fs") == left


def test_free_heeds_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "left", lambda: [7000, 400])
    assert memory.free() == 400


def test_the_message_has_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    scarce(monkeypatch, 2 << 30)
    with pytest.raises(InputError, match=r"SFX-E605 m: x needs at least 3\.0 GB.*2\.0 GB are free"):
        memory.require(3 << 30, "x", where="m")
    with pytest.raises(InputError, match=r"--memory allows 1\.0 MB"):
        memory.require(3 << 20, "x", allowed=1 << 20)
    memory.require(2 << 30, "x")


@pytest.mark.parametrize("mode", ["full", "layerwise"])
@pytest.mark.parametrize("states", [False, True])
def test_verify(mode: str, states: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are as large as was said, so the last byte decides."""
    steps = len(X) * PROGRAM.timesteps + PROGRAM.last_phase
    record = api.stream(PROGRAM, X, "reference", states=states)
    arrays = [a for m in (record.spikes, record.u, record.v) for a in m.values()]
    needed = sum(a.nbytes for a in arrays)
    assert memory_use.of_record(PROGRAM, steps, states) == needed
    twice = needed * (1 if mode == "layerwise" else 2)
    scarce(monkeypatch, 1 << 40)
    call = {"against": "reference", "mode": mode, "states": states}
    assert api.verify(PROGRAM, X, memory=twice, **call).equal
    with pytest.raises(InputError, match="SFX-E605"):
        api.verify(PROGRAM, X, memory=twice - 1, **call)
    scarce(monkeypatch, twice - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*are free"):
        api.verify(PROGRAM, X, **call)


def test_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many samples as fit into half of what is free, to the byte, and into RECORD."""
    one, two = (
        memory_use.of_record(PROGRAM, k * PROGRAM.timesteps + PROGRAM.last_phase, False)
        for k in (1, 2)
    )
    for free, count in ((2 * two, 2), (2 * two - 2, 1), (2 * one, 1), (2 * one - 2, 0)):
        scarce(monkeypatch, free)
        shown, why = memory_use.recordable(PROGRAM, 2)
        assert shown == count
        assert (memory.text(one) in why) == (count == 0)
    scarce(monkeypatch, 1 << 40)
    monkeypatch.setattr(memory_use, "RECORD", one)
    assert memory_use.recordable(PROGRAM, 2) == (1, "")


@pytest.mark.parametrize("backend", ["fast", "reference", "onnx", "lava"])
def test_run(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before the backend is even looked for."""
    needed = memory_use.of_run(PROGRAM, backend)
    assert needed > 0
    scarce(monkeypatch, needed - 1)
    with pytest.raises(InputError, match=f"SFX-E605.*one sample on {backend}"):
        api.run(PROGRAM, Data(X, None), backend_name=backend)


def test_fast_counts_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample and all counts, which are most of it; allowed to the byte."""
    needed = Prepared(PROGRAM).sample_bytes(PROGRAM.timesteps)
    assert needed > memory_use.of_run(PROGRAM, "fast")
    assert api.run(PROGRAM, Data(X, None), memory=needed).sums.any()
    with pytest.raises(InputError, match=r"SFX-E605.*one sample on fast.*--memory allows"):
        api.run(PROGRAM, Data(X, None), memory=needed - 1)
    scarce(monkeypatch, needed - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*one sample on fast.*are free"):
        FastBackend().run(PROGRAM, X)


def test_fast_takes_as_much_as_it_says() -> None:
    """At least: numpy tells Python of what it holds."""
    program = random_program(3, populations=20)
    x = random_events(program, 1)
    FastBackend().run(program, x)  # machine code is made
    tracemalloc.start()
    FastBackend().run(program, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak > Prepared(program).sample_bytes(program.timesteps)


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle(place(PROGRAM, load("loihi")), b"", {})
    scarce(monkeypatch, memory_use.of_costs(PROGRAM) - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*the events of a sample"):
        api.report(bundle, Data(X, None))


def test_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = live_case(False, True, 1)
    needed = memory_use.of_compile(lower(graph), len(x))
    assert needed > memory_use.of_compile(lower(graph), 0) > 0
    with pytest.raises(InputError, match=r"SFX-E605.*compiling it.*--memory"):
        compile_graph(graph, load("loihi"), x, memory=needed - 1)
    scarce(monkeypatch, needed - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*compiling it.*are free"):
        compile_graph(graph, load("loihi"), x)


@pytest.mark.parametrize("kind", ["uint8", "int64", "bool", "float16", "float32", "float64"])
@pytest.mark.parametrize("labels", ["uint8", "int64"])
def test_data_takes_what_was_asked_for(
    kind: str, labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte it is refused; and it does take as much, as numpy tells Python."""
    path = tmp_path / "x.npz"
    x, y = np.ones((1000, 80, 50), kind), np.zeros(1000, labels)
    np.savez_compressed(path, x=x, y=y)
    needed = [taken(x.size, x.dtype), taken(y.size, y.dtype, labels=True)]
    for name, asked in zip("xy", needed, strict=True):
        free = iter([asked - 1] if name == "x" else [1 << 40, asked - 1])
        monkeypatch.setattr(memory, "free", lambda free=free: next(free))
        with pytest.raises(InputError, match=f"SFX-E605.*array '{name}' needs at least"):
            read(path)
    free = iter(needed)
    monkeypatch.setattr(memory, "free", lambda: next(free))
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # threads that other tests leave behind allocate as well
    assert needed[0] <= peak <= needed[0] + needed[1] + (16 << 20)


def test_samples_as_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is shown at every step is as many values."""
    x = random_events(PROGRAM, 40)
    image = Data(x[:, 0].astype(np.uint8), None)
    needed = 8 * x.size
    assert needed > memory_use.of_run(PROGRAM, "reference")
    scarce(monkeypatch, needed - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*integers of 64 bits"):
        api.run(PROGRAM, image, backend_name="reference")


def test_the_sums_of_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    x = random_events(PROGRAM, 2).astype(np.uint8)
    free = iter([1 << 40, 1 << 40, 8 * 2 * PROGRAM["out"].size - 1])
    monkeypatch.setattr(memory, "free", lambda: next(free))
    with pytest.raises(InputError, match=r"SFX-E605.*the sums of all samples"):
        api.run(PROGRAM, Data(x, None), backend_name="reference")


LIMITED = """
import resource, sys
kind = getattr(resource, sys.argv.pop(1))
resource.setrlimit(kind, (1500 << 20,) * 2)
from sfx.toolchain.app import cli
cli.main()
"""


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_refuses_and_does_not_kill(limit: str, tmp_path: Path) -> None:
    """200 KB of file are 200 MB of events, fit, and are 1.6 GB as integers, which do not."""
    program = random_program(3, populations=2)
    facts = {
        "target": "loihi2",
        "model": {"name": "m", "sha256": ""},
        "target_table": to_table(load("loihi")),
    }
    placed = compile_program(program, load("loihi"))
    bundles.write(Bundle(placed, b"", facts), tmp_path / "m.sfx")
    one = program.timesteps * program.input.size
    x = np.zeros(((200 << 20) // one, program.timesteps, *program.input.shape), np.uint8)
    np.savez_compressed(tmp_path / "x.npz", x=x)
    words = ["run", str(tmp_path / "m.sfx"), "--input", str(tmp_path / "x.npz")]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, limit, *words],
        env={**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "SFX-E605 data: the samples as integers of 64 bits need" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice: what it unpacks to, and its integers as 64 bits."""
    path, wide = tmp_path / "m.sfx", one_large_array(tmp_path / "wide.sfx")
    bundles.write(Bundle(PlacedProgram(PROGRAM, "loihi2", ()), b"", {}), path)
    entries = bundles.unpack(path)
    unpacked = sum(map(len, entries.values()))
    scarce(monkeypatch, unpacked - 1)
    with pytest.raises(InputError, match=r"SFX-E605.*unpacking it"):
        bundles.read(path)
    scarce(monkeypatch, 1 << 20)
    with pytest.raises(InputError, match=r"SFX-E605.*its Program needs at least"):
        bundles.read(wide)


def one_large_array(path: Path) -> Path:
    """A bundle with 256 thousand integers of one byte each."""
    bundles.write(Bundle(PlacedProgram(PROGRAM, "loihi2", ()), b"", {}), path)
    entries = bundles.unpack(path)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(1 << 18, np.int8))
    entries["arrays/00000.npy"] = buffer.getvalue()
    manifest = json.loads(entries.pop("manifest.json"))
    manifest["sha256"] = {k: hashlib.sha256(v).hexdigest() for k, v in entries.items()}
    path.write_bytes(bundles.pack(entries | {"manifest.json": json.dumps(manifest).encode()}))
    return path
