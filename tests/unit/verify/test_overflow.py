"""A Program that can wrap is refused with the input that does it; that input really wraps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.arith import INPUT_SHIFT
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.verify.overflow import explained, find_overflow

STEPS = 6


def two_layers(weight: int, exponent: int, du: int = 4095, first: int = 0) -> p.Program:
    """8 inputs -> 3 LIF -> 2 LIF -> read-out, balanced; `weight` and `exponent` of the second."""
    wide = np.array([[2, -2, 2, 2, -2, 2, 2, 2], [2] * 8, [-2] * 7 + [2]], np.int64)
    second = np.array([[weight, 2, -2], [2, weight, -2]], np.int64)
    populations = (
        p.Population("in", (8,), p.Input(), 0, 1, 0),
        p.Population("one", (3,), p.LIF(du=4095, dv=4095, vth=1), 0, 1, 1),
        p.Population("two", (2,), p.LIF(du=du, dv=0, vth=1), 0, 1, 2),
        p.Population("out", (2,), p.Graded(), 0, 1, 3),
    )
    unit = p.Structured((("a", 2),), (("a", 2),))
    projections = (
        p.Projection("in->one", "in", "one", p.Dense(wide), weight_exp=first, delay=1),
        p.Projection("one->two", "one", "two", p.Dense(second), weight_exp=exponent, delay=1),
        p.Projection("two->out", "two", "out", unit, delay=1),
    )
    return p.Program(populations, projections, STEPS, p.Readout("out", 1.0, (0, 0)))


def currents(program: p.Program, x: np.ndarray, name: str) -> np.ndarray:
    """u [T, n] as the reference's register holds it, one sample."""
    phase = program[name].phase
    return ReferenceBackend().stream(program, x[None], states=True).u[name][phase : phase + STEPS]


@pytest.mark.parametrize(
    "program",
    [
        two_layers(254, 7, du=-1),  # no decay: six steps add up
        two_layers(254, 7, du=100),
        two_layers(-256, 7, du=-1),
    ],
)
def test_what_can_wrap_is_refused_and_the_input_found_wraps(program: p.Program) -> None:
    with pytest.raises(SfxError) as caught:
        check_program(program, balanced=True)
    assert caught.value.code == "SFX-E345"
    found = find_overflow(program, ReferenceBackend().layers)
    assert found is not None
    assert found.population == "two"
    held = currents(program, found.x, "two").reshape(STEPS, -1)[found.step, found.neuron]
    assert abs(found.value) >= LOIHI.state_limit
    assert abs(found.value - held) == 2 * LOIHI.state_limit, "the register wrapped once"
    text = str(explained(caught.value, program, ReferenceBackend().layers))
    assert "found an input that does it" in text
    assert str(found.value) in text


def test_what_cannot_wrap_passes_and_nothing_is_found() -> None:
    program = two_layers(254, 7)
    check_program(program, balanced=True)
    assert find_overflow(program, ReferenceBackend().layers) is None
    x = np.ones((STEPS, 8), np.int64)
    assert np.abs(currents(program, x, "two")).max() >= 254 << (7 + INPUT_SHIFT), "it is driven"


def test_a_bound_that_no_input_reaches_is_said_to_be_one() -> None:
    """The first layer never fires, so the second's current stays 0: refused all the same."""
    program = two_layers(254, 7, du=-1)
    silent = replace(program["one"], neuron=p.LIF(du=4095, dv=4095, vth=60))
    program = replace(program, populations=(program.input, silent, *program.populations[2:]))
    with pytest.raises(SfxError) as caught:
        check_program(program, balanced=True)
    assert find_overflow(program, ReferenceBackend().layers) is None
    text = str(explained(caught.value, program, ReferenceBackend().layers))
    assert "no input that does it was found" in text
