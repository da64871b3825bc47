"""Kill any process of a run at a random moment, many times; see that nothing is left of it.

    python scripts/kill_runs.py [--count 100] [--json FILE]

Each turn starts a command, waits a random time and sends a signal to a random process of it: the
command itself, the worker, one of the processes that Lava forks, or the cluster of Dask or one of
its workers. Then, within `SECONDS`:

* no process of the run is left (each carries a mark in its environment),
* none of the shared memory that they mapped is left, nor any other that is new and no one's,
* the folder of temporary files is empty,
* every file in the working folder is whole: a bundle and DATA read, JSON and TOML parse, a record
  of `--resume` is gone on with, a page and a table have their end; nothing else lies there.

The record grows with each turn, with the turn's number as seed; an ended run goes on from there.
The exit status is 1 if anything was left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RECORD = ROOT / "benchmarks" / "kills.json"
MARK = "SFX_KILLED_RUN"
SECONDS = 120.0
SHARED = Path("/dev/shm")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

WRITER = """
import sys
from sfx.toolchain.formats.bundle import bundle
a, b = (bundle.read(f"{n}.sfx") for n in "ab")
while True:
    for which in (a, b):
        bundle.write(which, "out.sfx")
"""
"""Bundles written one after the other, so that most moments fall into a write."""

COMMANDS: dict[str, list[str]] = {
    "verify": [
        "-m",
        "sfx.toolchain.app.cli",
        "verify",
        "a.sfx",
        "--input",
        "x.npz",
        "--json",
        "v.json",
    ],
    "layerwise": [
        *("-m", "sfx.toolchain.app.cli", "verify", "a.sfx", "--input", "x.npz"),
        *("--mode", "layerwise", "--resume", "done.json"),
    ],
    "run": [
        *("-m", "sfx.toolchain.app.cli", "run", "a.sfx", "--input", "x.npz"),
        *("--backend", "lava", "--json", "r.json"),
    ],
    "compile": ["-m", "sfx.toolchain.app.cli", "compile", "m.net", "-o", "out.sfx"],
    "report": [
        *("-m", "sfx.toolchain.app.cli", "report", "a.sfx", "--input", "x.npz"),
        *("--html", "r.html", "--csv", "r.csv", "--json", "r.json"),
    ],
    "map": [
        *("-m", "sfx.toolchain.app.cli", "map", "a.sfx", "--input", "x.npz"),
        *("-o", "out.sfx", "--json", "r.json"),
    ],
    "quantize": [
        *("-m", "sfx.toolchain.app.cli", "quantize", "n.nir", "--input", "q.npz", "--dt", "1"),
        *("--calibrate", "q.npz", "--budget", "50", "--trials", "3"),
        *("-o", "bits.toml", "--json", "r.json"),
    ],
    "convert": [
        *("-m", "sfx.toolchain.app.cli", "data", "convert", "set", "--from", "nmnist"),
        *("--split", "train", "--steps", "64", "-o", "out.npz", "--json", "r.json"),
    ],
    "dask": [
        *("-m", "sfx.toolchain.app.cli", "run", "a.sfx", "--input", "x.npz"),
        *("--engine", "dask", "--json", "r.json"),
    ],
    "write": ["-c", WRITER],
}
WITH_LAVA = ("verify", "layerwise", "run")
MANY = {**dict.fromkeys(WITH_LAVA, 6), "dask": 4}
"""Processes of a run from which on some are Lava's, or workers of Dask."""
TURNS = (
    *("verify", "report", "write", "dask", "layerwise", "map", "run", "convert"),
    *("write", "quantize", "verify", "dask", "layerwise", "compile"),
)


@dataclass
class Turn:
    """What was killed and what was left. phase: what Lava's worker was doing, "" without one."""

    number: int
    command: str
    victim: str = ""
    signal: str = ""
    after_s: float = 0.0
    phase: str = ""
    processes: int = 0
    segments: int = 0
    left: list[str] = field(default_factory=list)


def marked(mark: str) -> list[int]:
    """Pids of the live processes that carry the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            if not dead and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def segments(pids: list[int]) -> set[str]:
    """Names of the shared memory that these processes have mapped."""
    found: set[str] = set()
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        except OSError:
            continue
        found |= {n.split()[0] for line in lines if len(n := line.partition("/dev/shm/")[2])}
    return {n for n in found if n.startswith("psm_")}


def everyone() -> list[int]:
    """Every pid."""
    return [int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit()]


def prepare(folder: Path) -> None:
    """Two bundles, samples, a .net file to compile, a .nir file to quantize, and a data set."""
    import nir
    from tests.strategies import random_events, random_program
    from tests.unit.datasets.sets import nmnist
    from tests.unit.netx.files import live_conv_net, write

    from sfx.toolchain.compiler.compile import compile_program
    from sfx.toolchain.formats.bundle import bundle as bundles
    from sfx.toolchain.formats.bundle.bundle import Bundle
    from sfx.toolchain.targets import load
    from sfx.toolchain.targets.table import to_table

    program = random_program(3, populations=2, max_neurons=8)
    for name in ("a", "b"):
        placed = compile_program(program, load("loihi"))
        facts = {
            "target": "loihi2",
            "target_table": to_table(load("loihi")),
            "model": {"name": name, "sha256": ""},
        }
        # b carries much more, so that writing takes a while
        source = os.urandom(1 << 20) if name == "b" else b""
        bundles.write(Bundle(placed, source, facts), folder / f"{name}.sfx")
    np.savez(folder / "x.npz", x=random_events(program, 40).astype(np.uint8))
    write(folder / "m.net", live_conv_net())
    nmnist(folder / "set")
    weight = np.array([[30.0, 0.0, 9.0], [0.0, 30.0, 9.0]])
    cells = [np.full(2, 2.0), np.ones(2), np.zeros(2), np.full(2, 20.0), np.zeros(2)]
    chain = nir.NIRGraph.from_list(nir.Linear(weight), nir.LIF(*cells))
    nir.write(folder / "n.nir", chain)
    x = np.random.default_rng(0).integers(0, 2, (20, 6, 3), dtype=np.uint8)
    np.savez(folder / "q.npz", x=x, y=(x[..., 1].sum(1) > x[..., 0].sum(1)).astype(np.int64))


def victim(pids: list[int], parent: int, rng: random.Random, *, dask: bool) -> tuple[int, str]:
    """One of the run's processes: the parent, the worker, one of Lava's or of Dask's."""
    groups: dict[str, list[int]] = {"command": [parent]}
    for pid in pids:
        if pid == parent:
            continue
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            leader = os.getsid(pid) == pid
        except OSError:
            continue
        kind = "worker" if leader and b"lava.worker" in command else "process of Lava"
        if dask:
            kind = "cluster" if b"cluster_host" in command else "process of Dask"
        groups.setdefault(kind, []).append(pid)
    kind = rng.choice(sorted(groups))
    return rng.choice(groups[kind]), kind


def phase(temporary: Path) -> str:
    """What the worker said last."""
    for path in temporary.glob("sfx-lava-*/phase"):
        try:
            return path.read_text()
        except OSError:
            return ""
    return "loading Lava" if any(temporary.glob("sfx-lava-*")) else ""


def turn(number: int, prepared: Path, longest: dict[str, float]) -> Turn:
    """One run, one kill, and what was left."""
    rng = random.Random(number)
    command = TURNS[number % len(TURNS)]
    done = Turn(number, command)
    mark = secrets.token_hex(8)
    before = {p.name for p in SHARED.iterdir()}
    with tempfile.TemporaryDirectory() as name:
        work, temporary = Path(name) / "work", Path(name) / "tmp"
        work.mkdir(), temporary.mkdir()
        shutil.copytree(prepared, work, dirs_exist_ok=True)
        given = {p.name for p in work.iterdir()}
        path = f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"
        run = subprocess.Popen(
            [sys.executable, *COMMANDS[command]],
            cwd=work,
            env={**os.environ, MARK: mark, "TMPDIR": str(temporary), "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seen: set[str] = set()
        moment = rng.uniform(0.0, longest[command])
        start = time.monotonic()
        if rng.random() < 0.5:  # half of them count from when Lava's or Dask's processes are there
            while run.poll() is None and len(marked(mark)) < MANY.get(command, 0):
                time.sleep(0.05)
            moment = time.monotonic() - start + moment / 4
        while time.monotonic() - start < moment and run.poll() is None:
            seen |= segments(marked(mark))
            time.sleep(0.1)
        pids = marked(mark)
        seen |= segments(pids)
        if run.poll() is None:
            pid, done.victim = victim(pids, run.pid, rng, dask=command == "dask")
            number_of = rng.choice(SIGNALS)
            done.signal, done.phase = number_of.name, phase(temporary)
            try:
                os.kill(pid, number_of)
            except ProcessLookupError:
                done.victim = "ended before"
        else:
            done.victim = "ended before"
        done.after_s = round(time.monotonic() - start, 2)
        done.processes = len(pids)
        end = time.monotonic() + SECONDS
        if command == "write" and done.victim == "ended before":
            run.kill()
        while (left := marked(mark)) and time.monotonic() < end:
            seen |= segments(left)
            run.poll()
            time.sleep(0.1)
        run.poll()
        done.segments = len(seen)
        done.left += [f"process {p}" for p in left]
        new = {p.name for p in SHARED.iterdir() if p.name.startswith("psm_")} - before
        done.left += [f"segment {n}" for n in sorted((new - segments(everyone())) | (new & seen))]
        done.left += [f"temporary {p.name}" for p in temporary.iterdir()]
        done.left += broken(work, given)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    return done


def broken(work: Path, given: set[str]) -> list[str]:
    """What is not whole in the working folder, or should not be there."""
    from sfx.toolchain.app.commands.bits import from_file
    from sfx.toolchain.data import read
    from sfx.toolchain.formats.bundle import bundle as bundles
    from sfx.toolchain.ground.errors import SfxError

    whole: dict[str, Callable[[Path], object]] = {
        ".sfx": bundles.read,
        ".json": lambda path: json.loads(path.read_text()),
        ".npz": read,
        ".toml": from_file,
        ".html": lambda path: path.read_text().index("</html>", -8),
        ".csv": lambda path: path.read_text().index("\n", -1),
        ".replay": lambda path: None,
    }
    found = []
    for path in work.iterdir():
        try:
            if path.suffix in whole:
                whole[path.suffix](path)
            elif path.name not in given:
                found.append(f"file {path.name}")
        except (SfxError, ValueError) as error:
            found.append(f"broken {path.name}: {error}")
    return found


def main() -> int:
    """Turns until `count` processes were killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="kills in all")
    parser.add_argument("--json", type=Path, default=RECORD)
    options = parser.parse_args()
    # a shell's background job ignores SIGINT, and so would what it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows: list[dict[str, Any]] = (
        json.loads(options.json.read_text()) if options.json.exists() else []
    )
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name)
        prepare(prepared)
        longest: dict[str, float] = {}
        while sum(bool(r["signal"]) for r in rows) < options.count:
            number = rows[-1]["number"] + 1 if rows else 0
            command = TURNS[number % len(TURNS)]
            if command not in longest:
                longest[command] = measured(command, prepared)
            done = turn(number, prepared, longest)
            rows.append(asdict(done))
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
            what = ", ".join(done.left) or "nothing left"
            print(
                f"{number:>3} {command:<10} {done.signal:<8} {done.victim:<16} after "
                f"{done.after_s:>6.2f} s {done.phase:<12} {done.processes:>3} processes: {what}",
                flush=True,
            )
    kinds = Counter(r["victim"] for r in rows)
    bad = [r["number"] for r in rows if r["left"]]
    print(f"{len(rows)} turns: {dict(kinds)}; something left in {len(bad)}: {bad}")
    return int(bool(bad))


def measured(command: str, prepared: Path) -> float:
    """How long the command takes when nothing kills it (a writer: 3 s)."""
    if command == "write":
        return 3.0
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(prepared, name, dirs_exist_ok=True)
        start = time.monotonic()
        path = f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"
        done = subprocess.run(
            [sys.executable, *COMMANDS[command]],
            cwd=name,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{command} fails by itself:\n{done.stdout}{done.stderr}")
        return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
