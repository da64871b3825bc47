"""Nothing in the working folder runs or configures a library: every file there leaves a mark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sfx
from sfx.toolchain.data import Data
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.ground import folder

pytestmark = pytest.mark.needs_torch

ROOT = Path(sfx.__file__).resolve().parents[1]
NAMES = (
    # of Python itself: what starts early, and what multiprocessing and tempfile need
    "sitecustomize usercustomize runpy multiprocessing random secrets struct signal tempfile "
    "string json pickle select socket ssl threading "
    # of libraries that are here, and of some that may not be
    "numpy torch numba llvmlite lava yaml nir norse h5py onnx onnxruntime optuna matplotlib PIL "
    "rich typer click jinja2 scipy psutil safetensors distributed dask cloudpickle tornado "
    "cryptography cupy tbb cuda triton snntorch spikingjelly evil"
)
TAKEN = NAMES.split()

EVERY = """
import sys
sys.path.insert(0, {src!r})
from sfx_loihi import main
for line in {lines!r}:
    sys.argv = ["sfx", *line.split()]
    try:
        main()
    except SystemExit as end:
        print("ended", line.split()[0], end.code or 0, flush=True)
print("read:", sorted(n for n in ("numba", "matplotlib", "onnxruntime") if n in sys.modules))
if "matplotlib" in sys.modules:
    print("backend", sys.modules["matplotlib"].rcParams["font.size"])
"""
COMMANDS = {
    "compile {away}/n.nir -o {away}/n.sfx --calibrate {away}/x.npz --dt 1 --picture "
    "{away}/p.png": 0,
    "check {away}/n.nir --calibrate {away}/x.npz --dt 1": 0,
    "inspect {away}/n.sfx": 0,
    "quantize {away}/n.nir --input {away}/x.npz --calibrate {away}/x.npz --sensitivity": 0,
    "map {away}/n.sfx -o {away}/m.sfx": 0,
    "run {away}/n.sfx --input {away}/x.npz": 0,
    "verify {away}/n.sfx --input {away}/x.npz --against onnx": 0,
    "report {away}/n.sfx --input {away}/x.npz --html {away}/r.html": 0,
    "export {away}/n.sfx --to onnx -o {away}/n.onnx": 0,
    "diff {away}/n.sfx {away}/m.sfx": 0,
    "targets": 0,
    "doctor": 0,
    "explain SFX-E103": 0,
    "replay {away}/n.sfx": 2,
    "data convert --from mnist {away} -o {away}/d.npz": 2,
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose every file touches `mark`, or makes a library say that it was read."""
    place = tmp_path / "hostile"
    place.mkdir()
    mark = tmp_path / "mark"
    for name in TAKEN:
        (place / f"{name}.py").write_text(
            f"with open({str(mark)!r}, 'a') as f:\n    f.write(__name__ + '\\n')\n"
        )
    (place / "matplotlibrc").write_text("font.size: 61\nbackend: module://evil\nno.such.key: 1\n")
    (place / ".numba_config.yaml").write_text(
        f"cache_locator_classes: evil.Locator\ncache_dir: {place / 'kept'}\nopt: many\n"
    )
    (place / "dask.yaml").write_text("distributed: {worker: {preload: [evil]}}\n")
    return place


def net(away: Path) -> None:
    """A small graph, samples for it, and the folder of a run's results."""
    import nir

    weight = np.array([[30.0, 0.0, 9.0], [0.0, 30.0, 9.0]])
    lif = nir.LIF(
        tau=np.full(2, 2.0), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2),
        v_reset=np.zeros(2),
    )  # fmt: skip
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc": nir.Linear(weight),
        "lif": lif,
        "output": nir.Output({"output": np.array([2])}),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    nir.write(away / "n.nir", nir.NIRGraph(nodes, edges))
    x = np.random.default_rng(0).integers(0, 2, (4, 6, 3))
    np.savez(away / "x.npz", x=x, y=np.zeros(4, dtype=np.int64))


def clean(**environment: str) -> dict[str, str]:
    """An environment whose only mention of our code is its folder."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MPLBACKEND")}
    return {**kept, **environment}


@pytest.mark.slow
def test_no_command_runs_or_reads_what_lies_in_the_working_folder(
    hostile: Path, tmp_path: Path
) -> None:
    net(tmp_path)
    lines = [line.format(away=tmp_path) for line in COMMANDS]
    script = tmp_path / "bin" / "sfx"  # as the installed command: its own folder comes first
    script.parent.mkdir()
    script.write_text(EVERY.format(src=str(ROOT), lines=lines))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=hostile, env=clean(), capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert not (tmp_path / "mark").exists(), (tmp_path / "mark").read_text()
    ended = [tuple(w.split()[1:3]) for w in done.stdout.splitlines() if w.startswith("ended ")]
    assert ended == [(line.split()[0], str(code)) for line, code in COMMANDS.items()], said
    assert "read: ['matplotlib', 'numba', 'onnxruntime']" in said
    assert "backend 10" in said
    for word in ("no.such.key", "NUMBA_OPT", "Traceback", "evil"):
        assert word not in said, said
    assert sorted(p.name for p in hostile.iterdir()) == sorted(
        [f"{name}.py" for name in TAKEN] + ["matplotlibrc", ".numba_config.yaml", "dask.yaml"]
    )


LATE = "import sys, sfx.toolchain.app.cli as c; sys.argv = ['sfx', *{line!r}.split()]; c.main()"


@pytest.mark.parametrize("how", ["-c", "-m", "PYTHONPATH"])
def test_what_is_imported_late_is_not_found_there_either(
    how: str, hostile: Path, tmp_path: Path
) -> None:
    """However Python was started: it puts the folder first itself, and we take it off."""
    net(tmp_path)
    early = {p.stem for p in hostile.glob("*.py")} - {
        "torch",
        "numba",
        "onnxruntime",
        "nir",
        "h5py",
    }
    for name in early:  # imported before a line of ours is run: Python's own doing
        (hostile / f"{name}.py").unlink()
    line = f"verify {tmp_path}/n.sfx --input {tmp_path}/x.npz --against onnx"
    data = Data(np.load(tmp_path / "x.npz")["x"], None)
    options = NirOptions(dt=1.0)
    bundle = sfx.compile(tmp_path / "n.nir", calibrate=data, nir_options=options)
    sfx.save(bundle, tmp_path / "n.sfx")
    start = {
        "-c": ["-c", LATE.format(line=line)],
        "-m": ["-m", "sfx.toolchain.app.cli", *line.split()],
        "PYTHONPATH": [str(tmp_path / "start.py")],
    }[how]
    (tmp_path / "start.py").write_text(LATE.format(line=line))
    path = str(ROOT) if how != "PYTHONPATH" else f"{os.pathsep}{ROOT}{os.pathsep}"
    done = subprocess.run(
        [sys.executable, *start],
        cwd=hostile, env=clean(PYTHONPATH=path), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists(), (tmp_path / "mark").read_text()


def test_the_user_s_own_word_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{here}")
    assert folder._without(here, ["", here, "other"]) == [here, "other"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    assert folder._without(here, ["", here, "other"]) == ["other"]
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.delattr(sys.modules["__main__"], "__spec__")
    assert folder._without(here, ["", "other", here]) == ["other", here]  # of a .pth file


def test_a_worker_starts_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "mine", "", "/there"]))
    made = folder.worker_environment()
    assert made["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(tmp_path / "mine"), "/there"]
    assert made["PYTHONSAFEPATH"] == "1"
