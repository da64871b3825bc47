"""What all tests share: skips with their reasons, one thread per process, fixed random seeds.

SFX_REQUIRE=torch,lava   a part named here that is missing is an error instead of a skip
SFX_DATA=DIR             the data sets, if not in ../shared/data
HYPOTHESIS_PROFILE       `fixed` (default): the same examples each time; `explore`: ten times as
                         many, new ones each time
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

# Before the first import of numpy or torch, which read it once: the nets of the tests are small,
# and two workers with a pool of threads each only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

try:
    import sfx  # noqa: F401
except ImportError as error:
    if "SFX-E662" not in str(error):
        raise
    WITHOUT_LINKS = str(error)
else:
    WITHOUT_LINKS = ""

DATA = Path(os.environ.get("SFX_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def torch_missing() -> str | None:
    """Why tests marked `needs_torch` cannot run here, or None."""
    missing = [name for name in ("torch", "norse") if find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def lava_missing() -> str | None:
    """Why tests marked `needs_lava` cannot run here, or None."""
    if sys.version_info[:2] != (3, 10):
        return f"Lava needs Python 3.10, this is {sys.version_info[0]}.{sys.version_info[1]}"
    return None if find_spec("lava") else "Lava (lava-nc) is not installed"


def data_missing() -> str | None:
    """Why tests marked `needs_data` cannot run here, or None."""
    return None if DATA.is_dir() else f"no data sets in {DATA} ($SFX_DATA names another place)"


MISSING: dict[str, Callable[[], str | None]] = {
    "torch": torch_missing,
    "lava": lava_missing,
    "data": data_missing,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites the texts under tests/golden/expected."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden texts")


def pytest_configure(config: pytest.Config) -> None:
    """Stop at once if a part that $SFX_REQUIRE names is missing: a skip would hide it.

    Warnings that torch gives once a process are given always: a warning fails a test, and it must
    be the same test whatever ran before.
    """
    if WITHOUT_LINKS:  # one sentence instead of one per file
        raise pytest.UsageError(WITHOUT_LINKS)
    if not torch_missing():
        import torch

        torch.set_warn_always(True)
    for part in filter(None, os.environ.get("SFX_REQUIRE", "").split(",")):
        if part not in MISSING:
            raise pytest.UsageError(f"SFX_REQUIRE: {part!r} is none of {', '.join(MISSING)}")
        if reason := MISSING[part]():
            raise pytest.UsageError(f"SFX_REQUIRE={part}, but {reason}")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine lacks; keep each file, and all of Lava, on one worker.

    A file's fixtures are then made once, and two Lava networks never compete for two cores.
    """
    reasons = {part: find() for part, find in MISSING.items()}
    for item in items:
        for part, reason in reasons.items():
            if reason and item.get_closest_marker(f"needs_{part}"):
                item.add_marker(pytest.mark.skip(reason=reason))
        lava = item.get_closest_marker("needs_lava")
        item.add_marker(pytest.mark.xdist_group("lava" if lava else item.path.stem))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data sets, for tests marked `needs_data`."""
    return DATA
