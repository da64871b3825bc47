"""Words of synaptic memory: the bits that weights really have, where a target stores fewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir.connection_kinds.base import Kernel
from sfx.toolchain.ir.program import Connection, Dense, Projection, Structured
from sfx.toolchain.targets import load
from sfx.toolchain.targets.memory import (
    dense_axon_words,
    kernel_axons,
    kernel_words,
    stored_bits,
)
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
    assert stored_bits(joined(connection), TWO) == max(bits, 3)  # the narrowest in the logs
    own = replace(TWO, least_weight_bits=8)
    assert stored_bits(joined(connection), own) == 8


def test_seven_bits_are_stored_in_eight_where_the_logs_say_so() -> None:
    """Oxford's second layer, -98 to 124: 16,128 words for 256 axons onto 200 neurons."""
    connection = Dense(np.array([[-98, 124]], dtype=np.int64))
    assert (stored_bits(joined(connection), ONE), stored_bits(joined(connection), TWO)) == (7, 8)
    assert 256 * dense_axon_words(200, 8, TWO) == 16_128


def test_a_pattern_has_one_whole_weight() -> None:
    assert stored_bits(joined(Structured((("n", 4),), (("n", 4),))), ONE) == 8


def test_words_of_an_axon() -> None:
    assert dense_axon_words(100, 2, ONE) == 1 + 4
    assert dense_axon_words(100, 8, ONE) == 1 + 13


@pytest.mark.parametrize(
    ("outputs", "bits", "words"),
    [(100, 3, 24), (100, 4, 26), (50, 4, 13), (10, 5, 3), (50, 6, 15), (50, 8, 16), (64, 8, 21),
     (10, 8, 4), (1, 6, 1), (1, 4, 1), (256, 8, 81), (255, 8, 80), (200, 8, 63)],
)  # fmt: skip
def test_words_of_an_axon_in_intel_s_logs(outputs: int, bits: int, words: int) -> None:
    """Rows and refused allocations of PilotNet, Oxford and MNIST (lava-dl), by the axons in."""
    assert dense_axon_words(outputs, bits, TWO) == words


@pytest.mark.parametrize(("target", "part"), [("loihi1", 0.65), ("loihi2", 0.85)])
def test_a_map_needs_fewer_cores_for_narrower_weights(target: str, part: float) -> None:
    rng = np.random.default_rng(0)

    def cores(step: int) -> int:
        net = Net(2)
        net.add("input", (2048,), lif())
        weight = step * rng.integers(-128 // step, 128 // step, (1000, 2048))
        net.add("layer", (1000,), lif(), ("input", Dense(2 * weight)))
        return place(net.done("layer"), load(target), MappingOptions("cores")).cores

    # 4 bits and 8 bits; on Loihi 2 each synapse also has 12 bits of index
    assert cores(16) < part * cores(1)


def test_words_of_a_kernel_with_groups() -> None:
    depthwise = Kernel(channels=6, weights=9, positions=4, met=9, groups=6)
    assert kernel_words(depthwise, np.array([1, 3, 6]), 8, TWO).tolist() == [9, 27, 54]
    assert kernel_axons(depthwise, np.array([1, 3, 6])).tolist() == [1, 3, 6]
    two = Kernel(channels=8, weights=9, positions=4, met=36, groups=2)
    # neighbours may lie in both groups
    assert kernel_words(two, np.array([1, 2, 4, 8]), 8, TWO).tolist() == [9, 18, 18, 18]


def test_more_bits_than_a_weight_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nextends = "loihi2"\n[limits]\n'
        'least_weight_bits = { value = 9, source = "none" }\n'
    )
    with pytest.raises(InputError, match="least_weight_bits is 9, more than weight_bits, 8"):
        load(path)
