"""Break sound files of every kind, many times, and see that each is read or refused.

    python scripts/fuzz.py [--count 100000] [--reader NAME ...] [--json FILE]

The same damage as in `tests/fuzz`, drawn by hypothesis. A file that makes a reader raise anything
but an error of ours, or take more than `MEMORY`, is kept beside the record and ends that reader's
run; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tests.fuzz.readers import READERS, Reader, damaged  # noqa: E402

from sfx.toolchain.errors import SfxError  # noqa: E402

MEMORY = 6 << 30
"""Address space of the process: a file that asks for more fails."""
STEP = 2000
"""Files between two lines of progress; each step has a seed of its own."""


@dataclass
class Outcome:
    """How one reader did. refused: files by error code."""

    reader: str
    files: int = 0
    read: int = 0
    seconds: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)
    failure: str = ""


def fuzz(reader: Reader, count: int) -> Outcome:
    """Break `count` files for one reader."""
    done = Outcome(reader.name)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = reader.seeds(folder)
        path = folder / f"damaged{reader.suffix}"

        def one(data: st.DataObject) -> None:
            content = damaged(reader, seeds, data.draw)
            path.write_bytes(content)
            done.files += 1
            try:
                reader.read(path)
                done.read += 1
            except SfxError as error:
                code = error.problems[0].code
                done.refused[code] = done.refused.get(code, 0) + 1
            except BaseException as error:
                done.failure = f"{type(error).__name__}: {error}"
                Path(f"fuzz-failure-{reader.name}{reader.suffix}").write_bytes(content)
                raise

        for first in range(0, count, STEP):
            checked = settings(
                max_examples=min(STEP, count - first),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )(given(st.data())(one))
            try:
                seed(first)(checked)()
            except BaseException:
                if not done.failure:
                    raise
                break
            print(f"  {reader.name:<12} {done.files:>7}", file=sys.stderr, flush=True)
    done.seconds = round(time.perf_counter() - start, 1)
    return done


def main() -> None:
    """Fuzz the readers, print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="files a reader")
    parser.add_argument("--reader", nargs="*", help="only these")
    parser.add_argument("--json", type=Path, help="write the record")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    outcomes = []
    for reader in READERS:
        if options.reader and reader.name not in options.reader:
            continue
        outcome = fuzz(reader, options.count)
        outcomes.append(outcome)
        word = outcome.failure or "no crash"
        print(
            f"{outcome.reader:<12} {outcome.files:>7} files  {outcome.read:>7} read  "
            f"{sum(outcome.refused.values()):>7} refused ({len(outcome.refused)} codes)  "
            f"{outcome.seconds:>7.0f} s  {word}",
            flush=True,
        )
        if options.json:
            options.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    sys.exit(any(o.failure for o in outcomes))


if __name__ == "__main__":
    main()
