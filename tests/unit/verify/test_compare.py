"""A comparison counts what it compared, names the first difference, and can fail."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from sfx.toolchain.ground.errors import BackendError
from sfx.toolchain.ir import program as p
from sfx.toolchain.verify.compare import compare


@dataclass
class Record:
    spikes: dict[str, np.ndarray]
    u: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)


def program() -> p.Program:
    axes = (("a0", 3),)
    return p.Program(
        (
            p.Population("in", (3,), p.Input(), phase=0),
            p.Population("lif", (3,), p.LIF(4095, 0, 1), phase=1),
            p.Population("out", (3,), p.Graded(), phase=2),
        ),
        (
            p.Projection("a", "in", "lif", p.Structured(axes, axes), delay=1),
            p.Projection("b", "lif", "out", p.Structured(axes, axes), delay=1),
        ),
        timesteps=4,
        readout=p.Readout("out", 1.0, (0, 0, 0)),
    )


def record(seed: int = 0) -> Record:
    rng = np.random.default_rng(seed)
    spikes = {n: rng.integers(0, 2, (10, 3)) for n in ("in", "lif", "out")}
    return Record(
        spikes, {"lif": rng.integers(0, 9, (10, 3))}, {"lif": rng.integers(0, 9, (10, 3))}
    )


def verdict(a: Record, b: Record, states: bool = True):
    return compare(program(), a, b, against="lava", mode="full", states=states, samples=2)


def test_equal_records_count_every_value() -> None:
    result = verdict(record(), record())
    assert result.equal
    assert result.compared == 3 * 30 + 2 * 30
    assert result.first_mismatch is None
    assert verdict(record(), record(), states=False).compared == 90


@pytest.mark.parametrize("quantity", ["spikes", "u", "v"])
def test_one_changed_value_is_found_and_named(quantity: str) -> None:
    other = record()
    array = getattr(other, quantity)["lif"]
    array[7, 2] += 1
    result = verdict(record(), other)
    assert not result.equal
    assert result.mismatches == 1
    first = result.first_mismatch
    assert first is not None
    assert (first.population, first.quantity, first.step, first.neuron) == ("lif", quantity, 7, 2)
    assert (first.sample, first.model_step) == (1, 2), "step 7 at phase 1 is sample 1, model step 2"
    assert first.got == first.expected + 1


def test_the_earliest_difference_comes_first() -> None:
    other = record()
    other.spikes["lif"][5, 0] ^= 1
    other.spikes["out"][3, 1] ^= 1
    first = verdict(record(), other).first_mismatch
    assert first is not None
    assert (first.population, first.step) == ("out", 3)


def test_a_missing_population_is_an_error_and_not_equal() -> None:
    other = record()
    del other.spikes["out"]
    with pytest.raises(BackendError, match="SFX-E701 out"):
        verdict(record(), other)


def test_shorter_records_are_an_error() -> None:
    other = record()
    other.spikes["out"] = other.spikes["out"][:9]
    with pytest.raises(BackendError, match="shapes"):
        verdict(record(), other)


def test_silent_populations_are_named() -> None:
    a, b = record(), record()
    a.spikes["lif"][:] = 0
    b.spikes["lif"][:] = 0
    result = verdict(a, b)
    assert result.equal
    assert result.silent == ("lif",)
    assert result.as_dict()["silent"] == ["lif"]
