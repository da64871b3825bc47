"""The old names of options and keywords, which go with the version after the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sfx.toolchain.app import cli
from sfx.toolchain.app.api.renamed import renamed


@renamed("takes", "input_layout")
def double(x: int, *, input_layout: str = "TB") -> str:
    return 2 * x * input_layout


def test_the_old_keyword_warns_and_means_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"double\(takes=...\) is now input_layout"):
        assert double(1, takes="B") == "BB"  # type: ignore[call-arg]
    assert double(1, input_layout="BT") == "BTBT"
    assert double(1) == "TBTB"


def test_both_names_are_one_too_many() -> None:
    with pytest.raises(TypeError, match="got both input_layout and takes"):
        double(1, input_layout="B", takes="TB")  # type: ignore[call-arg]


@pytest.mark.parametrize("option", ["--input-layout", "--takes"])
def test_either_option_names_the_layout(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "import torch\n\nnet = lambda: torch.nn.Linear(4, 4)\n"
    (tmp_path / "renamed_nets.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save(torch.nn.Linear(4, 4).state_dict(), tmp_path / "m.pt")
    np.savez(tmp_path / "x.npz", x=np.ones((1, 2, 4), np.uint8))
    words = ["check", str(tmp_path / "m.pt"), "--model", "renamed_nets:net"]
    words += ["--calibrate", str(tmp_path / "x.npz"), option, "nonsense"]
    done = CliRunner().invoke(cli.app, words)
    assert "input_layout is 'nonsense'" in str(done.exception)


def test_help_shows_the_new_option_alone() -> None:
    shown = CliRunner().invoke(cli.app, ["check", "--help"]).output
    assert "--input-layout" in shown
    assert "--takes" not in shown
