"""Populations that never fire on the calibration data, in words: silence is not agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

HEADS = {
    "both": "silent on the calibration samples, so nothing is compared there",
    "float": "silent in the float model only, every spike of the integers is wrong",
    "integers": "silent in the integers only, every spike of the float model is missed",
}
NOTES = {"both": "silent", "float": "silent (float)", "integers": "silent (int)", "": ""}
"""What a table's row says."""


def silence_lines(found: Iterable[Mapping[str, str]]) -> list[str]:
    """The manifest's `silent` in words, every population by name, and what to do; [] for none."""
    names: dict[str, list[str]] = {}
    for s in found:
        names.setdefault(s["where"], []).append(s["population"])
    lines = [f"{head}: {', '.join(names[w])}" for w, head in HEADS.items() if w in names]
    if lines:
        lines.append("calibrate on more or other samples that make them fire (--calibrate)")
    if "integers" in names:
        lines.append("or give the integers more bits (--bits, --bits-per-layer)")
    return lines
