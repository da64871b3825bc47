"""One function per hardware rule: the docstring is what a user reads.

A rule looks at one thing (a population, a projection, what a core holds, a number of cores) and
returns a Problem with the value against the limit, or None. The first paragraph of a docstring is
a template over the fields of `Limits`, so documentation and messages show the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from ..ground.arith import IntArray, sign_mode
from ..ground.errors import Problem
from ..ir.placed import Usage
from ..ir.program import (
    LI,
    LIF,
    Population,
    Projection,
)
from .target import Limits


def text_of(rule: Callable[..., Any], limits: Limits) -> str:
    """The rule as a user reads it, with the target's numbers in place."""
    first = (rule.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(first.split()).format(**asdict(limits))


def _broken(
    rule: Callable[..., Any], limits: Limits, code: str, where: str, value: str, hint: str
) -> Problem:
    return Problem(code, where, f"{text_of(rule, limits)} {value}", hint)


def _place(item: Population | Projection) -> str:
    if isinstance(item, Population) and item.module:
        return f"{item.name} ({item.module})"
    return item.name


# --- populations ----------------------------------------------------------------------------


def neuron_program(population: Population, limits: Limits) -> Problem | None:
    """A target whose spikes are binary has one kind of neuron, LIF.

    Graded, GradedReLU and Product neurons are microcode of Loihi 2.
    """
    if limits.payload_bits or not population.neuron.microcode:
        return None
    kind = population.neuron.label
    return _broken(
        neuron_program,
        limits,
        "SFX-E420",
        _place(population),
        f"This population is {kind}.",
        "compile for loihi2, or use a lowering whose populations are all LIF",
    )


def payload(population: Population, limits: Limits) -> Problem | None:
    """A spike carries at most {payload_bits} bits of payload (0: spikes are binary)."""
    if not population.graded or neuron_program(population, limits):
        return None
    bits = max((-population.low - 1).bit_length(), population.high.bit_length()) + 1
    if limits.payload_bits and bits <= limits.payload_bits:
        return None
    hint = "lower the range: fewer event counts a step, smaller weights, a shift before the relay"
    if not limits.payload_bits:
        hint = "graded spikes are impossible here: compile for loihi2, or give binary inputs"
    return _broken(
        payload,
        limits,
        "SFX-E421",
        _place(population),
        f"Values {population.low}..{population.high} need {bits} bits.",
        hint,
    )


def threshold_width(population: Population, limits: Limits) -> Problem | None:
    """A threshold is an unsigned mantissa of {threshold_bits} bits."""
    vth = getattr(population.neuron, "vth", 0)
    if 0 <= vth < 1 << limits.threshold_bits:
        return None
    return _broken(
        threshold_width,
        limits,
        "SFX-E422",
        _place(population),
        f"This one is {vth}, the largest is {(1 << limits.threshold_bits) - 1}.",
        "use a smaller scale for the population (fewer bits of weight), or a smaller threshold",
    )


def bias_width(population: Population, limits: Limits) -> Problem | None:
    """A bias is a signed mantissa of {bias_bits} bits."""
    if not isinstance(population.neuron, LIF | LI) or population.neuron.bias_mant.size == 0:
        return None
    half = 1 << (limits.bias_bits - 1)
    low, high = int(population.neuron.bias_mant.min()), int(population.neuron.bias_mant.max())
    if -half <= low and high < half:
        return None
    return _broken(
        bias_width,
        limits,
        "SFX-E423",
        _place(population),
        f"These are {low}..{high}, the limits {-half}..{half - 1}.",
        "raise the bias exponent by one for each bit too many",
    )


def bias_exponent(population: Population, limits: Limits) -> Problem | None:
    """A bias exponent lies in {bias_exp}."""
    if not isinstance(population.neuron, LIF | LI):
        return None
    low, high = limits.bias_exp
    if low <= population.neuron.bias_exp <= high:
        return None
    return _broken(
        bias_exponent,
        limits,
        "SFX-E424",
        _place(population),
        f"This one is {population.neuron.bias_exp}.",
        "use a smaller scale for the population, so that the bias is smaller",
    )


def decay_width(population: Population, limits: Limits) -> Problem | None:
    """A decay is an unsigned fraction of {decay_bits} bits (du from -1, which is no decay)."""
    if not isinstance(population.neuron, LIF | LI):
        return None
    du, dv, top = population.neuron.du, population.neuron.dv, (1 << limits.decay_bits) - 1
    if -1 <= du <= top and 0 <= dv <= top:
        return None
    return _broken(
        decay_width,
        limits,
        "SFX-E425",
        _place(population),
        f"These are du = {du}, dv = {dv}, the largest is {top}.",
        "use a membrane time constant longer than one step",
    )


# --- projections ----------------------------------------------------------------------------


def weight_width(projection: Projection, limits: Limits) -> Problem | None:
    """A weight is a mantissa of {weight_bits} bits; where both signs occur it is even.

    Of 8 bits, weights of Dense and Sparse are 0..255, -255..0, or even -256..254. The weights of a
    Conv2d carry their exponent, so they must be such mantissas times one power of two.
    """
    connection = projection.connection
    weights = connection.weights
    if connection.storage == "kernel":
        if _shift(weights, projection.weight_exp, limits) is not None:
            return None
    elif np.array_equal(limits.arithmetic.effective_weights(weights), weights):
        return None
    low, high = int(weights.min()), int(weights.max())
    return _broken(
        weight_width,
        limits,
        "SFX-E426",
        projection.name,
        f"These weights, {low}..{high} ({sign_mode(weights)}), are not of that form.",
        "quantize again with the target's weight width",
    )


def weight_exponent(projection: Projection, limits: Limits) -> Problem | None:
    """The exponent that all weights of a projection share lies in {weight_exp}."""
    low, high = limits.weight_exp
    if low <= projection.weight_exp <= high:
        return None
    return _broken(
        weight_exponent,
        limits,
        "SFX-E427",
        projection.name,
        f"This one is {projection.weight_exp}.",
        "choose scales of the two populations that lie closer together",
    )


def delay(projection: Projection, limits: Limits) -> Problem | None:
    """A projection takes at most {max_delay} hardware steps."""
    if projection.delay <= limits.max_delay:
        return None
    return _broken(
        delay,
        limits,
        "SFX-E428",
        projection.name,
        f"This one takes {projection.delay}.",
        "balance the delays with relay populations (the compiler does, given this target)",
    )


def _shift(weights: IntArray, exponent: int, limits: Limits) -> int | None:
    """The least z with weights = mantissas << z, where mantissas and exponent + z both fit."""
    every = int(np.bitwise_or.reduce(weights, axis=None)) if weights.size else 0
    zeros = (every & -every).bit_length() - 1 if every else 0
    mixed = 1 if sign_mode(weights) == "mixed" else 0
    # Mixed mantissas are even, so an odd one is stored doubled, with the exponent one lower.
    for z in range(-mixed, zeros + 1):
        mantissas = weights >> z if z >= 0 else weights << -z
        fits = np.array_equal(limits.arithmetic.effective_weights(mantissas), mantissas)
        if fits and limits.weight_exp[0] <= exponent + z <= limits.weight_exp[1]:
            return z
    return None


# --- cores ----------------------------------------------------------------------------------


ROUNDING = 1e-9
"""Shares are sums of fractions."""


def neurons_per_core(where: str, usage: Usage, limits: Limits) -> Problem | None:
    """A core holds at most {neurons_per_core} neurons, or {stateful_neurons_per_core} that keep a
    state from step to step (0: no difference), or a mixture in proportion.
    """
    if limits.neuron_share(usage.neurons, usage.stateful) <= 1 + ROUNDING:
        return None
    return _broken(
        neurons_per_core,
        limits,
        "SFX-E410",
        where,
        f"This one would hold {usage.neurons}, {usage.stateful} of them with a state.",
        "split the population over more cores",
    )


def synaptic_memory(where: str, usage: Usage, limits: Limits) -> Problem | None:
    """A core has {synapse_words_per_core} words of {word_bits} bits of synaptic memory."""
    if usage.synapse_words <= limits.synapse_words_per_core:
        return None
    return _broken(
        synaptic_memory,
        limits,
        "SFX-E411",
        where,
        f"This one would need {usage.synapse_words}.",
        "give each neuron fewer inputs (pool or sum them first, smaller kernels, grouped "
        "convolutions), or prune the weights",
    )


def axons_in(where: str, usage: Usage, limits: Limits) -> Problem | None:
    """A core takes spikes by at most {axons_in_per_core} axons (0: not public): one for each
    distinct neuron, on Loihi 2 one for each list part of a kernel whatever neurons share it.
    """
    if not limits.axons_in_per_core or usage.axons_in <= limits.axons_in_per_core:
        return None
    return _broken(
        axons_in,
        limits,
        "SFX-E412",
        where,
        f"This one would receive {usage.axons_in}.",
        "give each neuron fewer inputs: smaller kernels, fewer channels, pooling first",
    )


def axons_out(where: str, usage: Usage, limits: Limits) -> Problem | None:
    """The neurons of a core send by at most {axons_out_per_core} axons (0: not public): one for
    each neuron and core that it drives, on Loihi 2 one for each neuron and population.
    """
    if not limits.axons_out_per_core or usage.axons_out <= limits.axons_out_per_core:
        return None
    return _broken(
        axons_out,
        limits,
        "SFX-E413",
        where,
        f"This one would need {usage.axons_out}.",
        "let each neuron drive fewer cores: fewer output channels, fewer consumers",
    )


def neuron_groups(where: str, groups: int, limits: Limits) -> Problem | None:
    """A core holds neurons of at most {neuron_groups_per_core} populations (0: not public)."""
    if not limits.neuron_groups_per_core or groups <= limits.neuron_groups_per_core:
        return None
    return _broken(
        neuron_groups,
        limits,
        "SFX-E415",
        where,
        f"This one would hold {groups}.",
        "map it with the mapper of sfx",
    )


def cores_available(where: str, needed: int, limits: Limits) -> Problem | None:
    """The system has {chips} chips of {cores_per_chip} usable cores."""
    if needed <= limits.cores:
        return None
    return _broken(
        cores_available,
        limits,
        "SFX-E414",
        where,
        f"The model needs {needed} cores, there are {limits.cores}.",
        "use a larger target, fewer channels or tokens, or fewer blocks",
    )


POPULATION_RULES = (
    neuron_program,
    payload,
    threshold_width,
    bias_width,
    bias_exponent,
    decay_width,
)
PROJECTION_RULES = (weight_width, weight_exponent, delay)
CORE_RULES = (neurons_per_core, synaptic_memory, axons_in, axons_out)


def check_values(
    populations: tuple[Population, ...], projections: tuple[Projection, ...], limits: Limits
) -> list[Problem]:
    """Every population and projection against every rule: all problems, in program order."""
    found = [rule(p, limits) for p in populations for rule in POPULATION_RULES]
    found += [rule(j, limits) for j in projections for rule in PROJECTION_RULES]
    return [problem for problem in found if problem is not None]


def check_core(where: str, usage: Usage, limits: Limits) -> list[Problem]:
    """What one core holds against every rule."""
    found = [rule(where, usage, limits) for rule in CORE_RULES]
    return [problem for problem in found if problem is not None]
