"""What quantization did to each population: the record that travels in the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .matched import FLOAT, Matched


@dataclass(frozen=True)
class LayerRecord:
    """One population that was quantized.

    scale           integer membrane units (or read-out units) per 1.0 of the float value
    weight_bits     bits of a synaptic weight
    exact           nothing was rounded: weights, bias, threshold and every decay step are exact
    clipped         weights cut off at the largest mantissa
    weight_error    rms of (quantized - real) weights over rms of the real ones
    threshold_error relative error of the threshold
    decay_error     |dv/4096 - decay|
    agreement       share of neurons and steps that are as in the float model, this layer alone
                    quantized, silent ones included (what is silent agrees: read the spikes below);
                    None without calibration data
    cumulative      the same with every earlier layer quantized too
    rate            float model's mean spikes per neuron and step on the calibration data
    wrong_spikes    missed and extra spikes (cumulative) per float spike; per 1 if there is none
    dead            weights that became 0 and were not
    memory_bits     bits of all synaptic weights, shared kernels counted once
    saturations     how often a membrane was cut off at 24 bits on the calibration data
    wraps           how often a current left its 24 bits there
    search          what chose the integers
    spikes          of the float model on the calibration data; None without data or spikes to send
    missed, extra   those that the integers do not fire, and those that only they fire (cumulative)
    missed_alone, extra_alone   the same with this layer alone quantized
    """

    population: str
    scale: float
    weight_bits: int
    exact: bool
    clipped: int
    weight_error: float
    threshold_error: float
    decay_error: float
    agreement: float | None = None
    cumulative: float | None = None
    rate: float | None = None
    wrong_spikes: float | None = None
    dead: int = 0
    memory_bits: int = 0
    saturations: int | None = None
    wraps: int | None = None
    search: str = "scale"
    spikes: int | None = None
    missed: int | None = None
    extra: int | None = None
    missed_alone: int | None = None
    extra_alone: int | None = None

    @staticmethod
    def of(row: Mapping[str, Any]) -> LayerRecord:
        """The record of a manifest's row."""
        return LayerRecord(**{f.name: row[f.name] for f in fields(LayerRecord) if f.name in row})

    @property
    def matched(self) -> Matched | None:
        """Its spikes with every earlier layer quantized; None without data."""
        return _matched(self.spikes, self.missed, self.extra)

    @property
    def wrong(self) -> float | None:
        """Missed and extra spikes per float spike, all earlier layers quantized; None: no spike."""
        return _wrong(self.matched, self.cumulative, self.rate)

    @property
    def wrong_alone(self) -> float | None:
        """The same with this layer alone quantized."""
        alone = _matched(self.spikes, self.missed_alone, self.extra_alone)
        return _wrong(alone, self.agreement, self.rate)

    @property
    def silent(self) -> str:
        """'float', 'integers' or 'both': which never fires on the calibration data; else ''."""
        if self.matched is not None:
            return self.matched.silent
        return FLOAT if self.rate == 0 else ""

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON, with precision and recall (all earlier layers quantized)."""
        found = self.matched
        return asdict(self) | {
            "precision": None if found is None else found.precision,
            "recall": None if found is None else found.recall,
            "silent": self.silent,
        }


def _matched(spikes: int | None, missed: int | None, extra: int | None) -> Matched | None:
    if spikes is None or missed is None or extra is None:
        return None
    return Matched(spikes - missed, missed, extra)


def _wrong(found: Matched | None, equal: float | None, rate: float | None) -> float | None:
    """From the counts; a bundle of an older sfx has the shares of all neurons and steps only."""
    if found is not None:
        return found.wrong
    return (1 - equal) / rate if equal is not None and rate else None
