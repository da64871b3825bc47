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
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    assert load._factory("network_of_my_own:net")() == "mine"
    assert sys.path[-1] == ""
    with pytest.raises(InputError, match="SFX-E153"):
        load._factory("torch:net")


def test_a_module_that_is_nowhere() -> None:
    with pytest.raises(InputError, match="in this folder"):
        load._factory("no_such_module_of_mine:net")
