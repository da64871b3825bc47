"""Break sound files of every kind, many times, and see that each is read or refused.

    python scripts/fuzz.py [--count 100000] [--reader NAME ...] [--json FILE]

Atheris (libFuzzer) chooses what to break, led by the lines of sfx that a file reaches; the damage
is that of `tests/fuzz`. A file that makes a reader raise anything but an error of ours, take more
than `MEMORY`, or run for more than `SECONDS` is a failure: the bytes that made it are kept in the
record, and so is the corpus, what reached something new. The record grows after each `STEP` files;
a run that was ended goes on from there. The exit status is 1 if there was a failure.

    python scripts/fuzz.py --reader bundle --again HEX     the one file that HEX makes, in the open
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RECORD = ROOT / "benchmarks" / "fuzz.json"
CORPUS = ROOT / "out" / "fuzz"
MEMORY = 6 << 30
"""Address space of the process: a file that asks for more fails."""
SECONDS = 20
"""That one file may take."""
STEP = 12_500
"""Files of one process; the next one starts with its corpus and another seed."""
ARTIFACTS = ("crash-", "timeout-", "oom-")
LONGEST = 48
"""Bytes of choices a file."""


def fuzz(name: str, count: int, answer: Path) -> None:
    """Break `count` files for one reader, led by atheris; write the tally to `answer` and exit."""
    import atheris  # of the extra `fuzz`

    with atheris.instrument_imports(include=["sfx"], exclude=_compiled()):
        from tests.fuzz.readers import READERS, damaged

        from sfx.toolchain.ground.errors import SfxError

        reader = next(r for r in READERS if r.name == name)
        folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        seeds = reader.seeds(folder)
        path = folder / f"damaged{reader.suffix}"
        for content in seeds:  # imports what it needs while imports are instrumented
            path.write_bytes(content)
            _read(reader, path, SfxError)
    tally: dict[str, Any] = {"files": 0, "read": 0, "refused": {}, "failure": None}

    def finish() -> None:
        answer.write_text(json.dumps(tally))
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        os._exit(0)

    def one(choices: bytes) -> None:
        content = damaged(reader, seeds, choices)
        path.write_bytes(content)
        tally["files"] += 1
        try:
            code = _read(reader, path, SfxError)
        except BaseException as error:
            what = f"{type(error).__name__}: {error}"[:300]
            tally["failure"] = {"choices": choices.hex(), "error": what}
            finish()
        if code:
            tally["refused"][code] = tally["refused"].get(code, 0) + 1
        else:
            tally["read"] += 1
        if tally["files"] == count:
            finish()

    corpus = CORPUS / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    seed = int(hashlib.sha256(answer.name.encode()).hexdigest()[:6], 16) + 1
    options = [f"-max_len={LONGEST}", f"-seed={seed}", "-len_control=0", "-verbosity=0"]
    # libFuzzer itself ends what hangs or crashes in native code, and leaves its choices there
    options += [f"-timeout={SECONDS}", f"-artifact_prefix={answer.parent}/"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


def _compiled() -> list[str]:
    """Modules that numba compiles: it cannot compile what atheris adds."""
    marks = ("njit", "@compiled", "machine_code import")
    files = [p for p in ROOT.glob("[tbf]*/**/*.py") if any(m in p.read_text() for m in marks)]
    return ["sfx." + ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in files]


def _read(reader: Any, path: Path, refusal: type[Exception]) -> str:
    """The code of the error that refused it, "" if it was read."""
    try:
        reader.read(path)
    except refusal as error:
        return str(error.problems[0].code)  # type: ignore[attr-defined]
    return ""


def step(row: dict[str, Any], count: int) -> None:
    """Another `count` files for the reader of `row`, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / f"{row['reader']}-{row['files']}"
        command = [sys.executable, __file__, "--one", row["reader"]]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, "--count", str(count), "--answer", str(answer)],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        left = [p for p in Path(folder).iterdir() if p.name.startswith(ARTIFACTS)]
        if left:
            failure = {"choices": left[0].read_bytes().hex(), "error": left[0].name[:7]}
            found = {"files": 0, "read": 0, "refused": {}, "failure": failure}
        elif answer.exists():
            found = json.loads(answer.read_text())
        else:
            raise SystemExit(f"{row['reader']}: no answer\n{done.stderr[-2000:]}")
    row["files"] += found["files"]
    row["read"] += found["read"]
    for code, n in found["refused"].items():
        row["refused"][code] = row["refused"].get(code, 0) + n
    row["failure"] = found["failure"]
    row["seconds"] = round(row["seconds"] + _cpu(after) - _cpu(before), 1)


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def again(name: str, choices: bytes) -> None:
    """Read the one file that `choices` make, with its traceback if it raises."""
    from tests.fuzz.readers import READERS, damaged

    reader = next(r for r in READERS if r.name == name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{reader.suffix}"
        path.write_bytes(damaged(reader, reader.seeds(Path(folder)), choices))
        print(reader.read(path))


def line(row: dict[str, Any]) -> str:
    """A reader's record as text."""
    refused = sum(row["refused"].values())
    end = f"FAILED {row['failure']}" if row["failure"] else "no crash"
    return (
        f"{row['reader']:<14} {row['files']:>7} files {row['read']:>7} read {refused:>7} refused "
        f"({len(row['refused'])} codes) {row['seconds']:>6.0f} CPU s  {end}"
    )


def main() -> None:
    """Fuzz the readers in turns, so that an ended run has done something of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="files a reader, in all")
    parser.add_argument("--reader", nargs="*", help="only these")
    parser.add_argument("--json", type=Path, default=RECORD, help="the record, gone on with")
    parser.add_argument("--again", metavar="HEX", help="read the file that these choices make")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if options.one:
        fuzz(options.one, options.count, options.answer)
    if options.again is not None:
        again(options.reader[0], bytes.fromhex(options.again))
        return
    from tests.fuzz.readers import READERS

    empty = {"files": 0, "read": 0, "refused": {}, "failure": None, "seconds": 0.0, "date": ""}
    stored = json.loads(options.json.read_text()) if options.json.exists() else []
    rows = {r["reader"]: r for r in stored}
    rows |= {
        r.name: {"reader": r.name, **json.loads(json.dumps(empty))}
        for r in READERS
        if r.name not in rows
    }
    left = [rows[r.name] for r in READERS if not options.reader or r.name in options.reader]
    while left := [r for r in left if r["files"] < options.count and not r["failure"]]:
        for row in left:
            step(row, min(STEP, options.count - row["files"]))
            row["date"] = time.strftime("%Y-%m-%d")
            print(line(row), flush=True)
            options.json.write_text(json.dumps([rows[r.name] for r in READERS], indent=1) + "\n")
    sys.exit(any(r["failure"] for r in rows.values()))


if __name__ == "__main__":
    main()
