"""`sfx explain`: every code that a message can carry is explained from its source."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import sfx
from sfx.toolchain.app.cli import app
from sfx.toolchain.app.explain import CODE, PARTS, explain, places
from sfx.toolchain.ground.errors import InputError


def test_every_code_is_explained() -> None:
    root = Path(sfx.__file__).parent
    files = [f for part in PARTS for f in (root / part).resolve().rglob("*.py")]
    files += [root / "__init__.py", root.parent / "sfx_loihi.py"]
    written = {code for f in files for code in CODE.findall(f.read_text())}
    found = list(places())
    assert written == {p.code for p in found}
    assert len(written) > 150
    assert all(p.message or p.about for p in found)


def test_messages_and_hints_are_those_of_the_source() -> None:
    (place,) = [p for p in explain("e643") if p.place.startswith("toolchain/app/explain.py")]
    assert place.message == "there is no error code '<code>'"
    assert place.hint == "codes look like SFX-E103"
    assert place.kind == "the model, data or bundle cannot be used as it is"


def test_a_message_from_before_the_package_is_explained() -> None:
    (place,) = explain("SFX-E660")
    assert place.message == "the package `sfx` found here is another project's"
    assert place.hint.startswith("pip uninstall sfx")
    assert place.place.startswith("sfx_loihi.py:")


def test_as_typed() -> None:
    result = CliRunner().invoke(app, ["explain", "SFX-E102"])
    assert result.exit_code == 0
    assert "control flow" in result.output or "frontends/tracing/prepare.py" in result.output
    with pytest.raises(InputError, match="SFX-E643"):
        explain("SFX-E999")
