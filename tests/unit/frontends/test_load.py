"""The user's own network, named on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from sfx.frontends import load
from sfx.toolchain.errors import InputError

pytestmark = pytest.mark.needs_torch


def test_a_module_in_the_working_folder_is_found_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "network_of_my_own.py").write_text("def net():\n    return 'mine'\n")
    (tmp_path / "torch.py").write_text("def net():\n    return 'hijacked'\n")
    monkeypatch.chdir(tmp_path)
    before = [p for p in sys.path if p]
    monkeypatch.setattr(sys, "path", list(before))
    assert load._factory("network_of_my_own:net")() == "mine"
    assert sys.path == before  # open for that import only
    with pytest.raises(InputError, match="SFX-E153"):
        load._factory("torch:net")


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
    assert load._factory("network_installed:net")() == "installed"
    assert not (here / "mark").exists()


def test_a_module_that_is_nowhere() -> None:
    with pytest.raises(InputError, match="in this folder"):
        load._factory("no_such_module_of_mine:net")
