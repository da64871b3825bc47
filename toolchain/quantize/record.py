"""What quantization did to each population: the record that travels in the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
    agreement       share of equal spikes against the float model, this layer alone quantized;
                    None without calibration data
    cumulative      the same with every earlier layer quantized too
    rate            float model's mean spikes per neuron and step on the calibration data
    wrong_spikes    differing spikes (cumulative) per float spike
    dead            weights that became 0 and were not
    memory_bits     bits of all synaptic weights, shared kernels counted once
    saturations     how often a membrane was cut off at 24 bits on the calibration data
    wraps           how often a current left its 24 bits there
    search          what chose the integers
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

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)
