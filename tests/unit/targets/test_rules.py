"""One test per hardware rule: the last value that fits, and the first that does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.ground.errors import Problem
from sfx.toolchain.ir.placed import Usage
from sfx.toolchain.ir.program import (
    LIF,
    Connection,
    Dense,
    Graded,
    Input,
    Population,
    Projection,
    Structured,
)
from sfx.toolchain.targets import load, rules
from tests.unit.mapping.programs import conv

LOIHI1, LOIHI2 = load("loihi1").limits, load("loihi2").limits


def lif(**fields: object) -> Population:
    neuron = replace(LIF(du=0, dv=0, vth=1), **fields)  # type: ignore[arg-type]
    return Population("layer", (3,), neuron, module="net.layer")


def projection(connection: Connection, **fields: int) -> Projection:
    return Projection("a->b", "a", "b", connection, **fields)  # type: ignore[arg-type]


def weights(*values: int) -> Projection:
    return projection(Dense(np.array([values], dtype=np.int64)))


def fails(problem: Problem | None, code: str, *texts: str) -> None:
    assert problem is not None
    assert problem.code == code
    assert problem.where
    assert problem.hint
    for text in texts:
        assert text in str(problem), str(problem)


def test_neuron_program() -> None:
    graded = Population("relay", (3,), Graded())
    assert rules.neuron_program(graded, LOIHI2) is None
    assert rules.neuron_program(lif(), LOIHI1) is None
    fails(rules.neuron_program(graded, LOIHI1), "SFX-E420", "LIF", "Graded")


def test_payload() -> None:
    def wide(low: int, high: int) -> Population:
        return Population("relay", (3,), Graded(), low, high)

    assert rules.payload(wide(-(2**23), 2**23 - 1), LOIHI2) is None
    fails(rules.payload(wide(0, 2**23), LOIHI2), "SFX-E421", "24 bits", "need 25 bits")
    fails(rules.payload(wide(-(2**23) - 1, 0), LOIHI2), "SFX-E421", "need 25 bits")
    counts = Population("input", (3,), Input(payload_bits=4), 0, 15)
    assert rules.payload(counts, LOIHI2) is None
    fails(rules.payload(counts, LOIHI1), "SFX-E421", "impossible")
    assert rules.payload(Population("input", (3,), Input(), 0, 1), LOIHI1) is None


def test_threshold_width() -> None:
    assert rules.threshold_width(lif(vth=2**17 - 1), LOIHI2) is None
    fails(rules.threshold_width(lif(vth=2**17), LOIHI2), "SFX-E422", "131072", "131071")
    fails(rules.threshold_width(lif(vth=-1), LOIHI2), "SFX-E422")


def test_bias_width() -> None:
    assert rules.bias_width(lif(bias_mant=np.array([-4096, 4095, 0])), LOIHI2) is None
    fails(rules.bias_width(lif(bias_mant=np.array([0, 4096, 0])), LOIHI2), "SFX-E423", "4095")
    fails(rules.bias_width(lif(bias_mant=np.array([0, -4097, 0])), LOIHI2), "SFX-E423", "13 bits")


def test_bias_exponent() -> None:
    assert rules.bias_exponent(lif(bias_exp=7), LOIHI2) is None
    fails(rules.bias_exponent(lif(bias_exp=8), LOIHI2), "SFX-E424", "(0, 7)")
    fails(rules.bias_exponent(lif(bias_exp=-1), LOIHI2), "SFX-E424")


def test_decay_width() -> None:
    assert rules.decay_width(lif(du=-1, dv=4095), LOIHI2) is None
    fails(rules.decay_width(lif(dv=4096), LOIHI2), "SFX-E425", "4095")
    fails(rules.decay_width(lif(du=-2), LOIHI2), "SFX-E425")


@pytest.mark.parametrize("good", [(0, 255), (1, 3), (-255, 0), (-3, -1), (-256, 254), (2, -4)])
def test_weight_width_holds(good: tuple[int, ...]) -> None:
    assert rules.weight_width(weights(*good), LOIHI2) is None


@pytest.mark.parametrize("bad", [(0, 256), (-256, 0), (-258, 2), (3, -2), (-2, 256)])
def test_weight_width_breaks(bad: tuple[int, ...]) -> None:
    problem = rules.weight_width(weights(*bad), LOIHI2)
    fails(problem, "SFX-E426", "8 bits", f"{min(bad)}..{max(bad)}")


def test_weight_width_of_a_pattern() -> None:
    def pattern(weight: int) -> Projection:
        return projection(Structured((("n", 3),), (("n", 3),), weight))

    assert rules.weight_width(pattern(-1), LOIHI2) is None
    fails(rules.weight_width(pattern(300), LOIHI2), "SFX-E426", "300")


def test_the_weights_of_a_convolution_carry_their_exponent() -> None:
    def kernel(*values: int) -> Projection:
        c = conv(len(values), (1, 4, 4), 1)
        return projection(replace(c, weight=np.array(values).reshape(-1, 1, 1, 1)))

    assert rules.weight_width(kernel(255 << 7, 1 << 7), LOIHI2) is None
    assert rules.weight_width(kernel(127, -128), LOIHI2) is None  # stored doubled, exponent -1
    fails(rules.weight_width(kernel(255 << 8, 1 << 8), LOIHI2), "SFX-E426")  # needs exponent 8
    fails(rules.weight_width(kernel(257, 1), LOIHI2), "SFX-E426")
    fails(rules.weight_width(kernel(129, -128), LOIHI2), "SFX-E426")


def test_weight_exponent() -> None:
    c = Dense(np.zeros((1, 1), dtype=np.int64))
    assert rules.weight_exponent(projection(c, weight_exp=-8), LOIHI2) is None
    fails(rules.weight_exponent(projection(c, weight_exp=8), LOIHI2), "SFX-E427", "(-8, 7)", "8")


def test_delay() -> None:
    c = Dense(np.zeros((1, 1), dtype=np.int64))
    assert rules.delay(projection(c, delay=64), LOIHI2) is None
    fails(rules.delay(projection(c, delay=65), LOIHI2), "SFX-E428", "64", "65")


OPEN = replace(LOIHI2, axons_in_per_core=0, axons_out_per_core=0)


def usage(**fields: int) -> Usage:
    return Usage(**{"neurons": 1, "synapse_words": 1, "axons_in": 1, "axons_out": 1} | fields)


def test_neurons_per_core() -> None:
    assert rules.neurons_per_core("x", usage(neurons=4095), LOIHI2) is None
    fails(rules.neurons_per_core("x", usage(neurons=4096), LOIHI2), "SFX-E410", "4095", "4096")


def test_synaptic_memory() -> None:
    assert rules.synaptic_memory("x", usage(synapse_words=16000), LOIHI2) is None
    problem = rules.synaptic_memory("x", usage(synapse_words=16001), LOIHI2)
    fails(problem, "SFX-E411", "16000 words of 64 bits", "16001")


def test_axons_are_checked_where_the_limit_is_public() -> None:
    assert rules.axons_in("x", usage(axons_in=4096), LOIHI1) is None
    fails(rules.axons_in("x", usage(axons_in=4097), LOIHI1), "SFX-E412", "4096", "4097")
    assert rules.axons_in("x", usage(axons_in=16000), LOIHI2) is None
    fails(rules.axons_in("x", usage(axons_in=16001), LOIHI2), "SFX-E412", "16000", "16001")
    assert rules.axons_in("x", usage(axons_in=10**6), OPEN) is None
    assert rules.axons_out("x", usage(axons_out=4096), LOIHI1) is None
    fails(rules.axons_out("x", usage(axons_out=4097), LOIHI1), "SFX-E413", "4096", "4097")
    fails(rules.axons_out("x", usage(axons_out=16001), LOIHI2), "SFX-E413", "16000", "16001")
    assert rules.axons_out("x", usage(axons_out=10**6), OPEN) is None


def test_neuron_groups() -> None:
    assert rules.neuron_groups("x", 8, LOIHI2) is None
    fails(rules.neuron_groups("x", 9, LOIHI2), "SFX-E415", "8", "9")
    assert rules.neuron_groups("x", 100, LOIHI1) is None


def test_cores_available() -> None:
    assert rules.cores_available("net", 120, LOIHI2) is None
    fails(rules.cores_available("net", 121, LOIHI2), "SFX-E414", "120", "121")


def test_every_rule_reads_as_a_sentence_with_the_targets_numbers() -> None:
    every = (*rules.POPULATION_RULES, *rules.PROJECTION_RULES, *rules.CORE_RULES)
    for rule in (*every, rules.cores_available):
        text = rules.text_of(rule, LOIHI2)
        assert text.endswith(".")
        assert "{" not in text
        assert "\n" not in text


def test_check_values_lists_every_problem() -> None:
    populations = (lif(vth=2**17, dv=4096), lif())
    found = rules.check_values(populations, (weights(0, 256),), LOIHI2)
    assert [p.code for p in found] == ["SFX-E422", "SFX-E425", "SFX-E426"]
