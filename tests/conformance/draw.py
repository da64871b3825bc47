"""Random conformance cases, drawn by hypothesis: it likes the ends of ranges, as overflows do.

Parameters come from strategies, long input series from numpy with a drawn seed and style. The
ranges go past the legal ones wherever Lava defines a result.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conformance.cases import Array, Case

STEPS = 48
SUM_LIMIT = 1 << 31
"""Lava's sums are exact or wrap as int32 does below this; see each kind for what is beyond."""


def draw(kind: str, count: int, start: int = 1) -> list[Case]:
    """`count` different cases of a kind; the same ones for the same `start`."""
    found: dict[str, Case] = {}

    @seed(start)
    @settings(
        max_examples=2 * count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[kind]())
    def collect(case: Case) -> None:
        if len(found) < count:
            found.setdefault(case.line(), case)

    collect()
    if len(found) < count:
        raise AssertionError(f"drew only {len(found)} different cases of {kind}")
    return list(found.values())


# --- neurons ----------------------------------------------------------------------------------


def edges(low: int, high: int, *extra: int) -> st.SearchStrategy[int]:
    """Integers of low..high, every third one at an end or one of `extra`."""
    ends = sorted({low, low + 1, high - 1, high, *extra})
    return st.one_of(st.integers(low, high), st.integers(low, high), st.sampled_from(ends))


def _currents(style: str, vth: int, rng: np.random.Generator) -> Array:
    """One series of a_in [STEPS, 1]."""
    if style == "exact":  # v meets vth << 6 exactly if u and v do not remember
        values = rng.choice([vth - 1, vth, vth, vth + 1, 0, -vth], STEPS)
    elif style == "wrap":  # around +-2^17, where u leaves 24 bits
        values = rng.choice([-1, 1], STEPS) * (131072 + rng.integers(-3, 4, STEPS))
    elif style == "push":  # one sign for long: v saturates
        values = np.full(STEPS, rng.choice([-131071, -90000, 90000, 131071]))
    elif style == "far":  # more than one turn outside: u stays outside
        values = rng.integers(-400_000, 400_001, STEPS)
    elif style == "shift":  # a_in << 6 wraps at 32 bits
        values = rng.integers(-32, 32, STEPS) * (1 << 26) + rng.integers(-300, 301, STEPS)
    elif style == "around":
        values = rng.integers(-2 * vth - 20, 2 * vth + 21, STEPS)
    else:
        values = rng.integers(-300, 301, STEPS)
    quiet = rng.random(STEPS) < rng.choice([0.0, 0.5])
    result: Array = np.where(quiet, 0, values).astype(np.int64)[:, None]
    return result


STYLES = ("small", "exact", "wrap", "push", "far", "shift", "around")


def lif(*, reset: bool = False) -> st.SearchStrategy[Case]:
    """u and v at their limits, thresholds met exactly, decays at both ends, biases both signs."""

    @st.composite
    def build(pick: st.DrawFn) -> Case:
        style = pick(st.sampled_from(STYLES))
        forget = style == "exact" and pick(st.booleans())
        params = {
            "du": 4095 if forget else pick(edges(-1, 4095, 0, 2047)),
            "dv": 4096 if forget else pick(edges(0, 4096, 4095)),
            "vth": pick(edges(0, 1 << 18, 131071, 131072)),  # beyond 17 bits v can stay saturated
            "bias_mant": 0 if forget else pick(edges(-4096, 4095, 0)),
            "bias_exp": pick(st.integers(-12, 7)),
        }
        if reset:
            interval = pick(st.sampled_from([1, 2, 3, 8]))
            params |= {"interval": interval, "offset": pick(st.integers(0, interval))}
        rng = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
        a_in = _currents(style, params["vth"], rng)
        return Case("LIFReset" if reset else "LIF", params, {"a_in": a_in})

    return build()


def graded(kind: str) -> st.SearchStrategy[Case]:
    """Thresholds met exactly and payloads up to 32 bits."""

    @st.composite
    def build(pick: st.DrawFn) -> Case:
        vth = pick(edges(0, (1 << 23) - 1, 0, 1))
        rng = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
        near = rng.choice([0, 1, -1, vth, -vth, vth + 1, -vth - 1, vth - 1], STEPS)
        far = rng.integers(1 - SUM_LIMIT, SUM_LIMIT, STEPS) >> rng.integers(0, 24, STEPS)
        a_in = np.where(rng.random(STEPS) < 0.5, near, far)
        return Case(kind, {"vth": vth}, {"a_in": a_in.astype(np.int64)[:, None]})

    return build()


def product() -> st.SearchStrategy[Case]:
    """Products beyond 32 bits, all shifts, thresholds met exactly."""

    @st.composite
    def build(pick: st.DrawFn) -> Case:
        exp, vth = pick(st.integers(0, 30)), pick(edges(0, 1 << 20, 1, 2))
        rng = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
        shift = int(rng.integers(0, 31))
        a, b = (rng.integers(1 - SUM_LIMIT, SUM_LIMIT, STEPS) >> shift for _ in range(2))
        at = rng.random(STEPS) < 0.3  # v = vth or beside it
        a = np.where(at, rng.choice([-1, 1], STEPS), a)
        b = np.where(at, (vth + rng.integers(-1, 2, STEPS)) << exp, b)
        b = np.clip(b, 1 - SUM_LIMIT, SUM_LIMIT - 1)
        inputs = {"a_in1": a.astype(np.int64)[:, None], "a_in2": b.astype(np.int64)[:, None]}
        return Case("ProdNeuron", {"exp": exp, "vth": vth}, inputs)

    return build()


# --- connections ------------------------------------------------------------------------------


def _weights(pick: st.DrawFn, shape: tuple[int, ...]) -> Array:
    """Of one sign or mixed, odd and even, some beyond the clip range, some absent."""
    mode = pick(st.sampled_from(["mixed", "mixed", "excitatory", "inhibitory", "ones"]))
    low, high = {
        "mixed": (-300, 300),
        "excitatory": (0, 300),
        "inhibitory": (-300, 0),
        "ones": (-1, 1),
    }[mode]
    rng = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
    values = rng.integers(low, high + 1, shape)
    ends = rng.choice([low, high, 256, -256, 255, -255, 254, 1, -1], shape)
    values = np.where((rng.random(shape) < 0.2) & (ends >= low) & (ends <= high), ends, values)
    result: Array = np.where(rng.random(shape) < 0.2, 0, values).astype(np.int64)
    return result


def _spikes(pick: st.DrawFn, steps: int, size: int, bound: int) -> Array:
    """Payloads below `bound`, many zero."""
    rng = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
    values = rng.integers(-bound + 1, bound, (steps, size)) >> rng.integers(0, 20, (steps, size))
    result: Array = np.where(rng.random((steps, size)) < 0.5, 0, values).astype(np.int64)
    return result


def matrix(kind: str) -> st.SearchStrategy[Case]:
    """Odd weights of mixed sign, all exponents, sums that wrap at 32 bits, delays 1..64."""
    late = kind.startswith("Delay")

    @st.composite
    def build(pick: st.DrawFn) -> Case:
        shape = (pick(st.integers(1, 4)), pick(st.integers(1, 4)))
        params = {
            "weight": _weights(pick, shape).tolist(),
            # a late process costs up to 64 matrices a step, so there are fewer of them
            "exp": pick(st.sampled_from([-8, -3, -1, 0, 1, 7]) if late else st.integers(-8, 7)),
            "graded": pick(st.booleans()),
            "delay": pick(edges(1, 64, 2)) if late else 1,
        }
        # Lava's DelayDense adds in 64 bits before it shifts, the others in 32: its sums stay below
        bound = 1 << 20 if kind == "DelayDense" else 1 << 28
        inputs = {"s_in": _spikes(pick, 70 if late else 24, shape[1], bound)}
        return Case(kind, params, inputs)

    return build()


CONV_SIZE = 96
CONV_SHAPES = [
    (c, h, CONV_SIZE // (c * h))
    for c in (1, 2, 3, 4, 6, 8, 12, 16, 24)
    for h in (1, 2, 3, 4, 6, 8)
    if CONV_SIZE % (c * h) == 0
]
"""(channels, height, width) of 96 neurons: one source can feed every case."""


def conv() -> st.SearchStrategy[Case]:
    """Strides, paddings, dilations, groups; sums that wrap at 24 bits."""

    @st.composite
    def build(pick: st.DrawFn) -> Case:
        in_shape = pick(st.sampled_from(CONV_SHAPES))
        channels, *size = in_shape
        dilation = [pick(st.integers(1, 2)) for _ in size]
        padding = [pick(st.integers(0, 2)) for _ in size]
        stride = [pick(st.integers(1, 3)) for _ in size]
        room = [(n + 2 * p - 1) // d + 1 for n, p, d in zip(size, padding, dilation, strict=True)]
        kernel = [pick(st.integers(1, min(3, r))) for r in room]
        groups = pick(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        out = groups * pick(st.integers(1, 1 + 8 // groups))
        weight = _weights(pick, (out, channels // groups, *kernel))
        exp = pick(st.integers(0, 7))
        largest = max(1, int(np.abs(weight).sum(axis=(1, 2, 3)).max()) << exp)
        bound = max(2, min(1 << 24, SUM_LIMIT // largest))  # beyond, Lava's cast is undefined
        params = {
            "weight": weight.tolist(),
            "exp": exp,
            "graded": pick(st.booleans()),
            "in_shape": list(in_shape),
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }
        steps, series = 6, pick(st.integers(0, 3))
        rng = np.random.default_rng(series)
        s_in = rng.integers(-(1 << 24) + 1, 1 << 24, (steps, prod(in_shape)))
        s_in = np.where(rng.random(s_in.shape) < 0.5, 0, s_in)
        shift = max(0, (1 << 24).bit_length() - bound.bit_length())
        return Case("Conv", params, {"s_in": s_in >> shift})

    return build()


STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Case]]] = {
    "LIF": lif,
    "LIFReset": lambda: lif(reset=True),
    "GradedVec": lambda: graded("GradedVec"),
    "GradedReluVec": lambda: graded("GradedReluVec"),
    "ProdNeuron": product,
    "Dense": lambda: matrix("Dense"),
    "Sparse": lambda: matrix("Sparse"),
    "DelayDense": lambda: matrix("DelayDense"),
    "DelaySparse": lambda: matrix("DelaySparse"),
    "Conv": conv,
}
