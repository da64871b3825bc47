"""`--bits-per-layer`: pairs and TOML files, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfx.toolchain.app.commands.bits import quantize_options
from sfx.toolchain.ground.errors import InputError


def test_pairs_and_files_add_up(tmp_path: Path) -> None:
    file = tmp_path / "bits.toml"
    file.write_text('[bits]\n"blocks.0.q.lif" = 3\nstem = 5\n')
    options = quantize_options(6, [str(file), "stem=4,a=b=2"], "calibrated", 2.0)
    assert options.layers == {"blocks.0.q.lif": 3, "stem": 4, "a=b": 2}
    assert (options.bits, options.effort) == (6, 2.0)


@pytest.mark.parametrize("text", ["stem", "stem=", "=3", "stem=three", "a=3,,b=4"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        quantize_options(8, [text], "calibrated", 1.0)
    assert caught.value.code == "SFX-E327"


@pytest.mark.parametrize("text", ["", "[bits]\nstem = 2.5\n", "[bits]\nstem = true\n", "[bits"])
def test_a_file_without_whole_bits_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bits.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        quantize_options(8, [str(file)], "calibrated", 1.0)
    assert caught.value.code == "SFX-E327"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        quantize_options(8, [str(tmp_path / "no.toml")], "calibrated", 1.0)
    assert caught.value.code == "SFX-E327"
