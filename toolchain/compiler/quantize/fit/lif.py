"""One LIF population to integers: scale, exponents, threshold, bias and decay.

Integer membrane v_int = S * v with S = 64 * G and G = gain * 2**exponent, because synaptic
input and threshold enter shifted left by 6 (semantics 2.1). The exponent is the largest that
keeps every sum provably inside the registers: it adds low bits to the membrane, which the
truncating decay then loses without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ....ground.arith import INPUT_SHIFT, IntArray
from ....ground.arithmetic import Arithmetic
from ....ir.graph import FloatArray
from ....ir.program import LIF
from ..state.mantissas import Mantissas, WeightBits
from .mantissa import (
    exact_gain,
    largest_gain,
    mantissas,
)
from .ties import alike, between, threshold_integer

CLIP_SHARES = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6)
"""Shares of the largest weight at which the mantissa range may end."""
COARSER = 7
"""How often the gain may be halved: 8-bit mantissas would be down to their sign then."""


class NoScale(Exception):
    """No scale fits; who knows the population says it to the user (`no_scale`)."""


Bound = Callable[[Mantissas], float]
"""Largest possible |sum of inputs| of any neuron, in units of gain * 2**0."""


@dataclass(frozen=True, eq=False)
class RealLIF:
    """What a LIF population computes in real numbers, per model step.

    v <- (1 - decay) * v + sum_p weights_p . s_p + bias;  v <- 0 after a spike
    spike when v > threshold, or where it reaches it
    (gain, decay and leak of the model are already multiplied in)
    """

    decay: float
    threshold: float
    weights: tuple[FloatArray, ...]
    bias: FloatArray
    reached: bool = False


@dataclass(frozen=True)
class Form:
    """What integers a population has whatever its weights are: T, its shape, the widths."""

    timesteps: int
    shape: tuple[int, ...]
    widths: Arithmetic


@dataclass(frozen=True, eq=False)
class QuantizedLIF:
    """The integers, and how far they are from the real numbers."""

    neuron: LIF
    mantissas: Mantissas
    exponents: tuple[int, ...]
    scale: float
    exact: bool
    threshold_error: float
    decay_error: float


def quantize_lif(
    real: RealLIF,
    gain: float,
    bound: Bound,
    form: Form,
    bits: WeightBits,
) -> QuantizedLIF:
    """Weights rounded at one gain, or at a coarser one where no exponent is legal for it.

    Raises NoScale if none of `COARSER` halvings helps.
    """
    for _ in range(COARSER):
        m = mantissas(real.weights, gain, bits)
        q = integers(real, m, bound, form)
        if q is not None:
            return q
        gain /= 2
    raise NoScale


def integers(real: RealLIF, m: Mantissas, bound: Bound, form: Form) -> QuantizedLIF | None:
    """The neuron's integers for given mantissas, or None where no exponent is legal."""
    widths = form.widths
    exponent = _largest_exponent(real, m, bound(m), form)
    if exponent is None:
        return None
    unit = m.gain * 2.0**exponent
    scale = unit * (1 << INPUT_SHIFT)
    mant, exp = bias_integers(real.bias * scale, widths)
    vth, inclusive = threshold_integer(real.threshold, unit, real.reached)
    off = abs((vth + inclusive) / unit - real.threshold) / real.threshold if real.threshold else 0.0
    unity = widths.decay_unity
    dv = min(int(np.rint(real.decay * unity)), widths.full_decay)
    kept = (
        all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
        and alike(mant << exp, real.bias * scale)
        and alike(dv, real.decay * unity)
        and all(exponent >= r for r in m.headroom)
    )
    grain = _grain(m, exponent, mant << exp, dv, form) if kept else None
    settled = None
    if grain is not None:
        settled = between(vth, real.threshold * scale, real.reached, grain, 1 << INPUT_SHIFT)
    exact = settled is not None
    vth, off = (vth, off) if settled is None else (settled, 0.0)
    neuron = LIF(widths.full_decay, dv, vth, mant.reshape(form.shape), exp)
    return QuantizedLIF(
        neuron,
        m,
        tuple(exponent - r for r in m.headroom),
        scale,
        exact,
        off,
        abs(dv / unity - real.decay),
    )


def candidate_gains(real: RealLIF, bits: WeightBits) -> list[float]:
    """Gains worth trying: one at which all weights are exact first, then shares of the largest."""
    exact = exact_gain(real.weights, bits)
    if all(w.size == 1 for w in real.weights):
        sizes = {abs(float(w.ravel()[0])) for w in real.weights}
        if len(sizes) == 1 and 0.0 not in sizes:
            # One weight is exact as mantissa 1, at any scale, and leaves room for the values.
            return [exact or 1 / sizes.pop()]
    shares = [largest_gain(real.weights, bits) / share for share in CLIP_SHARES]
    return [exact, *shares] if exact is not None else shares


def _largest_exponent(real: RealLIF, m: Mantissas, input_bound: float, form: Form) -> int | None:
    """The largest exponent at which no register can overflow, or None."""
    widths, timesteps = form.widths, form.timesteps
    least, most = widths.weight_exp
    lowest = max((least + r for r in m.headroom), default=least)
    highest = min((most + r for r in m.headroom), default=most)
    bias = float(np.abs(real.bias).max()) if real.bias.size else 0.0
    # |v| <= sum of (1 - decay)^i over the steps of a sample, times the largest input of a step
    steps = min(timesteps, 1 / real.decay) if real.decay > 0 else timesteps
    for exponent in range(highest, lowest - 1, -1):
        unit = m.gain * 2.0**exponent
        current = input_bound * 2.0**exponent
        bias_int = bias * unit * (1 << INPUT_SHIFT)
        if (
            current < widths.input_limit
            and real.threshold * unit < widths.reached_threshold - 0.5
            and bias_int <= widths.largest_bias
            and steps * (current * (1 << INPUT_SHIFT) + bias_int) < widths.state_limit - 1
            and np.rint(real.threshold * unit) >= 0
        ):
            return exponent
    return None


def bias_integers(bias: FloatArray, widths: Arithmetic) -> tuple[IntArray, int]:
    """bias ~ mant << exp with |mant| <= 4095 (of 13 bits), the smallest exponent that holds it."""
    top = widths.bias_range[1]
    least, most = widths.bias_exp
    whole = np.rint(bias)
    largest = float(np.abs(whole).max()) if whole.size else 0.0
    for exp in range(least, most + 1):
        mant = bias_mantissas(bias, exp)
        if largest <= top << exp and (not mant.size or np.abs(mant).max() <= top):
            return mant, exp
    raise ValueError(f"bias {largest:g} exceeds {top} << {most}")


def bias_mantissas(bias: FloatArray, exp: int) -> IntArray:
    """Mantissas of `bias` (membrane units) at one exponent, to the nearest."""
    nearest: IntArray = np.rint(bias / (1 << exp)).astype(np.int64)
    return nearest


def _grain(m: Mantissas, exponent: int, bias: IntArray, dv: int, form: Form) -> float | None:
    """What every v of a sample is a multiple of; None if a decay drops a set bit."""
    keep, bits = form.widths.decay_unity - dv, form.widths.decay_bits
    lost = bits - ((keep & -keep).bit_length() - 1)  # keep = odd * 2^(bits - lost)
    parts = [
        w << max(exponent - r + INPUT_SHIFT, 0) for w, r in zip(m.weights, m.headroom, strict=True)
    ]
    together = np.bitwise_or.reduce(
        np.concatenate([np.abs(p).ravel() for p in [*parts, bias]], dtype=np.int64)
    )
    zeros = (int(together & -together).bit_length() - 1) if together else 63
    spare = zeros - (lost * (form.timesteps - 1) if dv else 0)
    return 2.0**spare if spare >= 0 else None


def simulate(neuron: LIF, current: IntArray, widths: Arithmetic) -> IntArray:
    """Spikes [K, T, n] of a LIF without a current (the full du) on a_in [K, T, n], from rest.

    The compiler's own view of one layer during calibration; the reference backend is the
    definition, and tests compare the two.
    """
    return run_lif(neuron, current, widths)[0]


def run_lif(neuron: LIF, current: IntArray, widths: Arithmetic) -> tuple[IntArray, int, int]:
    """The spikes, and how often the membrane saturated and the current left its width."""
    _, timesteps, size = current.shape
    bias: IntArray = np.broadcast_to((neuron.bias_mant << neuron.bias_exp).ravel(), (size,))
    v: IntArray = np.zeros((len(current), size), np.int64)
    spikes = np.zeros(current.shape, np.int64)
    saturated = 0
    for t in range(timesteps):
        moved = widths.decayed(v, widths.decay_unity - neuron.dv)
        free: IntArray = moved + (current[:, t] << INPUT_SHIFT) + bias
        v = widths.saturate_membrane(free)
        saturated += int(np.count_nonzero(v != free))
        s = (v > (neuron.vth << INPUT_SHIFT)).astype(np.int64)
        spikes[:, t] = s
        v = v * (1 - s)
    return spikes, saturated, int(np.count_nonzero(np.abs(current) >= widths.input_limit))


def best(
    real: RealLIF,
    bound: Bound,
    form: Form,
    cost: Callable[[QuantizedLIF], float] | None,
    bits: WeightBits,
) -> QuantizedLIF:
    """The candidate with the fewest wrong spikes; an exact one wins outright."""
    tried: list[tuple[float, QuantizedLIF]] = []
    gains: Sequence[float] = candidate_gains(real, bits)
    for gain in gains:
        q = quantize_lif(real, gain, bound, form, bits)
        if q.exact or len(gains) == 1:
            return q
        if cost is None:
            # Without data the widest range is kept: nothing says which weights may be clipped.
            widest = largest_gain(real.weights, bits)
            return quantize_lif(real, widest, bound, form, bits)
        tried.append((cost(q), q))
    return min(tried, key=lambda pair: pair[0])[1]
