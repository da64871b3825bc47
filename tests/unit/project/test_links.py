"""A checkout without symbolic links says so; `import sfx` changes no other library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("toolchain", "frontends", "backends")
SAID = "toolchain, frontends, backends must be links to the project's folders"
REMEDY = (
    "git config core.symlinks true and git checkout HEAD -- src/sfx/toolchain src/sfx/frontends "
    "src/sfx/backends"
)


@pytest.fixture
def unlinked(tmp_path: Path) -> Path:
    """A copy of src/ as git writes it without links: text files with the paths in them."""
    src = tmp_path / "src"
    (src / "sfx").mkdir(parents=True)
    shutil.copy(ROOT / "src" / "sfx_loihi.py", src)
    for file in (ROOT / "src" / "sfx").iterdir():
        if file.is_symlink():
            (src / "sfx" / file.name).write_text(os.readlink(file))
        elif file.is_file():
            shutil.copy(file, src / "sfx")
    assert (src / "sfx" / "toolchain").read_text() == "../../toolchain"
    return src


def python(src: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(src)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_says_so_and_what_to_do(unlinked: Path) -> None:
    done = python(unlinked, "-c", "import sfx_loihi; sfx_loihi.main()")
    assert done.returncode == 3
    assert f"SFX-E662 {unlinked / 'sfx'}: {SAID}" in done.stderr
    assert REMEDY in done.stderr
    assert "Traceback" not in done.stderr


def test_so_does_the_import(unlinked: Path) -> None:
    done = python(unlinked, "-c", "import sfx")
    assert done.returncode == 1
    assert f"ImportError: SFX-E662 {unlinked / 'sfx'}: {SAID}" in done.stderr


def test_so_do_the_tests_once(unlinked: Path) -> None:
    tests = unlinked.parent / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    for name in ("test_a.py", "test_b.py"):
        (tests / name).write_text("import sfx\n\n\ndef test():\n    pass\n")
    done = python(unlinked, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=unlinked.parent)
    said = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said.count(SAID) == 1
    assert REMEDY in said


def test_one_link_that_is_missing_is_named_alone(unlinked: Path) -> None:
    for part in ("toolchain", "frontends"):
        (unlinked / "sfx" / part).unlink()
        (unlinked / "sfx" / part).symlink_to(ROOT / part)
    done = python(unlinked, "-c", "import sfx")
    assert "sfx: backends must be links" in done.stderr
    assert "-- src/sfx/backends;" in done.stderr
    (unlinked / "sfx" / "backends").unlink()
    (unlinked / "sfx" / "backends").symlink_to(ROOT / "backends")
    assert python(unlinked, "-c", "import sfx; sfx.compile").returncode == 0


UNTOUCHED = """
import sys
import nir
finders, known = list(sys.meta_path), dict(vars(nir.ir)["__all_ir"]) if isinstance(
    vars(nir.ir)["__all_ir"], dict) else list(vars(nir.ir)["__all_ir"])
read, modules = nir.read, set(sys.modules)
import sfx
assert sys.meta_path == finders, sys.meta_path
now = vars(nir.ir)["__all_ir"]
assert now == known and nir.read is read
new = {m.partition(".")[0] for m in set(sys.modules) - modules}
assert new == {"sfx"}, new
try:
    nir.read(sys.argv[1])
except Exception as error:
    print("before:", type(error).__name__)
import sfx.nir
assert sys.meta_path == finders, sys.meta_path
assert nir.read is read
print("after:", *(type(n).__name__ for n in nir.read(sys.argv[1]).nodes.values()))
"""


def test_import_sfx_touches_nothing_and_sfx_nir_makes_nir_read_our_nodes(tmp_path: Path) -> None:
    from sfx.toolchain.formats.nir.bridge import write
    from sfx.toolchain.ir import graph as g
    from tests.unit.ir.graphs import chain

    path = tmp_path / "m.nir"
    write(chain(("input", g.Input(1), (2, 3)), ("turned", g.Permute((1, 0)), (3, 2))), path)
    done = python(ROOT / "src", "-c", UNTOUCHED, str(path))
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.splitlines()
    assert before.startswith("before: "), "nir alone does not know our nodes"
    assert after == "after: Input Output Permute"
