"""The user's own network, named on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from sfx.frontends.checkpoints import factory, load  # noqa: E402  # it needs torch
from sfx.frontends.tracing.export import export  # noqa: E402  # it needs torch
from sfx.toolchain.ground.errors import InputError  # noqa: E402  # it needs torch

pytestmark = pytest.mark.needs_torch


def test_a_module_in_the_working_folder_is_found_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "network_of_my_own.py").write_text("def net():\n    return 'mine'\n")
    (tmp_path / "torch.py").write_text("def net():\n    return 'hijacked'\n")
    monkeypatch.chdir(tmp_path)
    before = [p for p in sys.path if p]
    monkeypatch.setattr(sys, "path", list(before))
    assert factory.imported("network_of_my_own:net")() == "mine"
    assert sys.path == before  # open for that import only
    with pytest.raises(InputError, match="SFX-E153"):
        factory.imported("torch:net")


def test_a_module_that_is_elsewhere_does_not_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, here = tmp_path / "installed", tmp_path / "here"
    installed.mkdir()
    here.mkdir()
    (installed / "network_installed.py").write_text(
        "try:\n    import only_in_the_folder\nexcept ImportError:\n    pass\n"
        "def net():\n    return 'installed'\n"
    )
    (here / "only_in_the_folder.py").write_text("open('mark', 'w').close()\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*(p for p in sys.path if p), str(installed)])
    assert factory.imported("network_installed:net")() == "installed"
    assert not (here / "mark").exists()


def test_a_module_that_is_nowhere() -> None:
    with pytest.raises(InputError, match="in this folder"):
        factory.imported("no_such_module_of_mine:net")


FAILS = """import sys
import json
import torch
from sfx.toolchain.ground.errors import InputError
if "{at}" == "import":
    {line}
def net():
    {line}
    return json
"""


@pytest.mark.parametrize("at", ["import", "call"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("sys.exit('enough')", "SystemExit: enough"),
        ("json.loads('[')", "JSONDecodeError: Expecting value"),
        ("torch.zeros(-1)", "RuntimeError: "),
    ],
)
def test_a_factory_that_fails_is_named_with_its_own_line(
    at: str, line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of the user's, not one of the libraries that it calls."""
    name = f"failing_{abs(hash((at, line)))}"
    (tmp_path / f"{name}.py").write_text(FAILS.format(at=at, line=line))
    torch.save({}, tmp_path / "m.pt")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError) as raised:
        load.load_network(tmp_path / "m.pt", model=f"{name}:net", example_shape=(2, 3))
    assert raised.value.code == "SFX-E153"
    number = 6 if at == "import" else 8
    assert f"{name}:net ({tmp_path}/{name}.py:{number})" in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def net(:\n", r"broken_0\.py:1\): cannot be imported: SyntaxError"),
        ("import no_such_module\n", r"broken_1\.py:1\): cannot be imported: No module named"),
        ("def net():\n    return {}\n", "returned dict; it must return a torch module"),
        ("net = 3\n", "is not a function or class"),
    ],
)
def test_other_ways_to_fail(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "broken_1" if "no_such" in text else f"broken_{0 if '(:' in text else len(text)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=f"SFX-E153.*{said}"):
        factory.made(f"{name}:net")


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "MemoryError", "InputError"])
def test_what_stays_what_it_is(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"raises_{error}"
    text = "from sfx.toolchain.ground.errors import InputError\n"
    (tmp_path / f"{name}.py").write_text(f"{text}def net():\n    raise {error}('SFX-E1', 'own')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BaseException, match="own") as raised:
        factory.made(f"{name}:net")
    assert type(raised.value).__name__ == error


class Leaves(torch.nn.Module):
    """A network that calls sys.exit when it is traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Never returns."""
        sys.exit(3)


def test_a_network_that_leaves_while_it_is_traced() -> None:
    with pytest.raises(InputError, match=r"SFX-E102 Leaves \(test_load\.py:\d+\).*SystemExit"):
        export(Leaves(), torch.zeros(2, 1, 3))
