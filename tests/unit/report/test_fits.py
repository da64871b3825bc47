"""What it would take: cores of each target, or the reason why not."""

from __future__ import annotations

import pytest

from sfx.toolchain.compiler.mapping.place import needs, smallest
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.program import Input
from sfx.toolchain.report.targets import target_fits
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import Net, dense, lif, transformer_like
from tests.unit.report.test_report import text_of


def row(text: str, name: str) -> str:
    (line,) = (x for x in text.splitlines() if x.split()[:1] == [name])
    return line


def test_the_smallest_that_fits_is_marked_and_the_others_say_why_not() -> None:
    text = text_of(target_fits(transformer_like()), 400)
    assert "spikes are binary" in row(text, "loihi1")
    assert "smallest that fits" in row(text, "loihi2")
    assert row(text, "loihi2").split()[1:4] == ["1", "120", "1"]
    assert "smallest" not in row(text, "kapoho-point") + row(text, "hala-point")


def test_a_net_too_large_for_one_chip() -> None:
    net = Net(2)
    net.add("input", (2560,), Input(payload_bits=4), high=7)
    net.add("layer", (3000,), lif(), ("input", dense(3000, 2560)))  # 24 neurons a core
    program = net.done("layer")
    text = text_of(target_fits(program), 160)
    assert "needs 125 cores" in row(text, "loihi2")
    assert "smallest that fits" in row(text, "kapoho-point")
    assert needs(program, load("loihi2")) == (None, "needs 125 cores")
    assert smallest(program, load("loihi2")) == ("kapoho-point", 125)


def test_one_target_alone_and_an_unknown_one() -> None:
    text = text_of(target_fits(transformer_like(), ("hala-point",)), 160)
    assert "loihi2" not in text
    with pytest.raises(InputError, match="SFX-E401"):
        target_fits(transformer_like(), ("loihi9",))
