"""What CONTRIBUTING.md says a new kind takes: few files, in folders that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def files(heading: str) -> list[str]:
    """The files of the numbered list under a heading."""
    section = TEXT.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "most", "like"),
    [
        ("A new neuron program", 6, "lif"),
        ("A new kind of connection", 6, "conv2d"),
        ("A new target", 1, "loihi2"),
    ],
)
def test_the_list_is_short_and_true(heading: str, most: int, like: str) -> None:
    listed = files(heading)
    assert 1 <= len(listed) <= most
    assert len(set(listed)) == len(listed)
    for path in listed:
        assert (ROOT / path).parent.is_dir(), path
        if not path.startswith("tests/"):  # kinds that Lava has are in conformance/cases
            assert (ROOT / path.replace("NAME", like)).is_file(), path


def test_no_folder_of_rules_is_missing_in_the_lists() -> None:
    """A backend's folder that looks up kinds needs a line, or a new kind would be forgotten."""
    for folder, heading in (
        ("neurons", "A new neuron program"),
        ("connections", "A new kind of connection"),
    ):
        needed = {f"{p.relative_to(ROOT)}/NAME.py" for p in ROOT.glob(f"backends/*/{folder}")}
        assert len(needed) == 4
        assert needed <= set(files(heading))
