"""Words of synaptic memory: the bits that weights really have, where a target stores fewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.program import Connection, Dense, Projection, Structured
from sfx.toolchain.targets import load
from sfx.toolchain.targets.memory import dense_axon_words, stored_bits
from tests.unit.mapping.programs import Net, lif

ONE, TWO = load("loihi1").limits, load("loihi2").limits


def joined(connection: Connection) -> Projection:
    return Projection("p", "a", "b", connection)


@pytest.mark.parametrize(
    ("weights", "bits"),
    [
        ([[-256, 254]], 8),  # even, as all mixed mantissas
        ([[-128, 112]], 4),  # multiples of 16: -8..7
        ([[-8, 6]], 3),  # -4..3; the exponent holds the rest
        ([[0, 255]], 8),
        ([[0, 15]], 4),
        ([[-15, 0]], 4),
        ([[128, 0]], 1),
        ([[0, 0]], 1),
    ],
)
def test_bits_are_those_that_the_mantissas_differ_in(weights: list[list[int]], bits: int) -> None:
    connection = Dense(np.array(weights, dtype=np.int64))
    assert stored_bits(joined(connection), ONE) == bits
    assert stored_bits(joined(connection), TWO) == 8  # nothing public says that fewer take less
    own = replace(TWO, least_weight_bits=4)
    assert stored_bits(joined(connection), own) == max(bits, 4)


def test_a_pattern_has_one_whole_weight() -> None:
    assert stored_bits(joined(Structured((("n", 4),), (("n", 4),))), ONE) == 8


def test_words_of_an_axon() -> None:
    assert dense_axon_words(100, 8, TWO) == 1 + 25
    assert dense_axon_words(100, 2, TWO) == 1 + 7  # 200 bits in words of 32
    assert dense_axon_words(100, 2, ONE) == 1 + 4


def test_a_map_needs_fewer_cores_for_narrower_weights() -> None:
    rng = np.random.default_rng(0)

    def cores(step: int) -> int:
        net = Net(2)
        net.add("input", (2048,), lif())
        weight = step * rng.integers(-128 // step, 128 // step, (1000, 2048))
        net.add("layer", (1000,), lif(), ("input", Dense(2 * weight)))
        return place(net.done("layer"), load("loihi1"), MappingOptions("cores")).cores

    assert cores(16) < 0.65 * cores(1)  # 4 bits and 8 bits


def test_more_bits_than_a_weight_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nextends = "loihi2"\n[limits]\n'
        'least_weight_bits = { value = 9, source = "none" }\n'
    )
    with pytest.raises(InputError, match="least_weight_bits is 9, more than weight_bits, 8"):
        load(path)
