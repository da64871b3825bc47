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

from ....ground.arith import (
    DECAY_UNITY,
    INPUT_SHIFT,
    STATE_LIMIT,
    IntArray,
    decay,
    saturate_membrane,
)
from ....ir.graph import FloatArray
from ....ir.program import LIF
from ..options import BITS
from ..state.mantissas import Mantissas
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
INPUT_LIMIT = 1 << 17
"""|a_in| must stay below it, or u leaves its 24 bits (semantics 2.1)."""


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
    timesteps: int,
    shape: tuple[int, ...],
    bits: int = BITS,
) -> QuantizedLIF:
    """Weights rounded at one gain, or at a coarser one where no exponent is legal for it.

    Raises NoScale if none of `COARSER` halvings helps.
    """
    for _ in range(COARSER):
        m = mantissas(real.weights, gain, bits)
        q = integers(real, m, bound, timesteps, shape)
        if q is not None:
            return q
        gain /= 2
    raise NoScale


def integers(
    real: RealLIF, m: Mantissas, bound: Bound, timesteps: int, shape: tuple[int, ...]
) -> QuantizedLIF | None:
    """The neuron's integers for given mantissas, or None where no exponent is legal."""
    exponent = _largest_exponent(real, m, bound(m), timesteps)
    if exponent is None:
        return None
    unit = m.gain * 2.0**exponent
    scale = unit * (1 << INPUT_SHIFT)
    mant, exp = bias_integers(real.bias * scale)
    vth, inclusive = threshold_integer(real.threshold, unit, real.reached)
    off = abs((vth + inclusive) / unit - real.threshold) / real.threshold if real.threshold else 0.0
    dv = min(int(np.rint(real.decay * DECAY_UNITY)), DECAY_UNITY - 1)
    kept = (
        all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
        and alike(mant << exp, real.bias * scale)
        and alike(dv, real.decay * DECAY_UNITY)
        and all(exponent >= r for r in m.headroom)
    )
    grain = _grain(m, exponent, mant << exp, dv, timesteps) if kept else None
    settled = None
    if grain is not None:
        settled = between(vth, real.threshold * scale, real.reached, grain, 1 << INPUT_SHIFT)
    exact = settled is not None
    vth, off = (vth, off) if settled is None else (settled, 0.0)
    neuron = LIF(du=4095, dv=dv, vth=vth, bias_mant=mant.reshape(shape), bias_exp=exp)
    return QuantizedLIF(
        neuron,
        m,
        tuple(exponent - r for r in m.headroom),
        scale,
        exact,
        off,
        abs(dv / DECAY_UNITY - real.decay),
    )


def candidate_gains(real: RealLIF, bits: int = BITS) -> list[float]:
    """Gains worth trying: one at which all weights are exact first, then shares of the largest."""
    exact = exact_gain(real.weights, bits)
    if all(w.size == 1 for w in real.weights):
        sizes = {abs(float(w.ravel()[0])) for w in real.weights}
        if len(sizes) == 1 and 0.0 not in sizes:
            # One weight is exact as mantissa 1, at any scale, and leaves room for the values.
            return [exact or 1 / sizes.pop()]
    shares = [largest_gain(real.weights, bits) / share for share in CLIP_SHARES]
    return [exact, *shares] if exact is not None else shares


def _largest_exponent(
    real: RealLIF, m: Mantissas, input_bound: float, timesteps: int
) -> int | None:
    """The largest exponent at which no register can overflow, or None."""
    lowest = max(-8 + r for r in m.headroom) if m.headroom else -8
    highest = min(7 + r for r in m.headroom) if m.headroom else 7
    bias = float(np.abs(real.bias).max()) if real.bias.size else 0.0
    # |v| <= sum of (1 - decay)^i over the steps of a sample, times the largest input of a step
    steps = min(timesteps, 1 / real.decay) if real.decay > 0 else timesteps
    for exponent in range(highest, lowest - 1, -1):
        unit = m.gain * 2.0**exponent
        current = input_bound * 2.0**exponent
        bias_int = bias * unit * 64
        if (
            current < INPUT_LIMIT
            and real.threshold * unit < INPUT_LIMIT - 0.5
            and bias_int <= 4095 << 7
            and steps * (current * 64 + bias_int) < STATE_LIMIT - 1
            and np.rint(real.threshold * unit) >= 0
        ):
            return exponent
    return None


def bias_integers(bias: FloatArray) -> tuple[IntArray, int]:
    """bias ~ mant << exp with |mant| <= 4095, the smallest exponent that holds it."""
    whole = np.rint(bias)
    largest = float(np.abs(whole).max()) if whole.size else 0.0
    for exp in range(8):
        mant = bias_mantissas(bias, exp)
        if largest <= 4095 << exp and (not mant.size or np.abs(mant).max() <= 4095):
            return mant, exp
    raise ValueError(f"bias {largest:g} exceeds 4095 << 7")


def bias_mantissas(bias: FloatArray, exp: int) -> IntArray:
    """Mantissas of `bias` (membrane units) at one exponent, to the nearest."""
    nearest: IntArray = np.rint(bias / (1 << exp)).astype(np.int64)
    return nearest


def _grain(m: Mantissas, exponent: int, bias: IntArray, dv: int, timesteps: int) -> float | None:
    """What every v of a sample is a multiple of; None if a decay drops a set bit."""
    keep = DECAY_UNITY - dv
    lost = 12 - ((keep & -keep).bit_length() - 1)  # keep = odd * 2^(12 - lost)
    parts = [
        w << max(exponent - r + INPUT_SHIFT, 0) for w, r in zip(m.weights, m.headroom, strict=True)
    ]
    together = np.bitwise_or.reduce(
        np.concatenate([np.abs(p).ravel() for p in [*parts, bias]], dtype=np.int64)
    )
    zeros = (int(together & -together).bit_length() - 1) if together else 63
    spare = zeros - (lost * (timesteps - 1) if dv else 0)
    return 2.0**spare if spare >= 0 else None


def simulate(neuron: LIF, current: IntArray) -> IntArray:
    """Spikes [K, T, n] of a LIF with du = 4095 on a_in [K, T, n] (int64), from rest.

    The compiler's own view of one layer during calibration; the reference backend is the
    definition, and tests compare the two.
    """
    return run_lif(neuron, current)[0]


def run_lif(neuron: LIF, current: IntArray) -> tuple[IntArray, int, int]:
    """The spikes, and how often the membrane saturated and the current left its 24 bits."""
    _, timesteps, size = current.shape
    bias: IntArray = np.broadcast_to((neuron.bias_mant << neuron.bias_exp).ravel(), (size,))
    v: IntArray = np.zeros((len(current), size), np.int64)
    spikes = np.zeros(current.shape, np.int64)
    saturated = 0
    for t in range(timesteps):
        moved: IntArray = decay(v, DECAY_UNITY - neuron.dv) + (current[:, t] << INPUT_SHIFT)
        free = moved + bias
        v = saturate_membrane(free)
        saturated += int(np.count_nonzero(v != free))
        s = (v > (neuron.vth << INPUT_SHIFT)).astype(np.int64)
        spikes[:, t] = s
        v = v * (1 - s)
    return spikes, saturated, int(np.count_nonzero(np.abs(current) >= INPUT_LIMIT))


def best(
    real: RealLIF,
    bound: Bound,
    timesteps: int,
    shape: tuple[int, ...],
    cost: Callable[[QuantizedLIF], float] | None,
    bits: int = BITS,
) -> QuantizedLIF:
    """The candidate with the fewest wrong spikes; an exact one wins outright."""
    tried: list[tuple[float, QuantizedLIF]] = []
    gains: Sequence[float] = candidate_gains(real, bits)
    for gain in gains:
        q = quantize_lif(real, gain, bound, timesteps, shape, bits)
        if q.exact or len(gains) == 1:
            return q
        if cost is None:
            # Without data the widest range is kept: nothing says which weights may be clipped.
            widest = largest_gain(real.weights, bits)
            return quantize_lif(real, widest, bound, timesteps, shape, bits)
        tried.append((cost(q), q))
    return min(tried, key=lambda pair: pair[0])[1]
