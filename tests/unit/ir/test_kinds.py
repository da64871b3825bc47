"""Every neuron program and every kind of connection has its place in each backend."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.fast import connections as fast_connections
from sfx.backends.fast import neurons as fast_neurons
from sfx.backends.lava import connections as lava_connections
from sfx.backends.lava import neurons as lava_neurons
from sfx.backends.reference import connections as reference_connections
from sfx.backends.reference import neurons as reference_neurons
from sfx.toolchain.formats.netx import neurons as netx_neurons
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir.codec import CLASSES
from sfx.toolchain.ir.connection_kinds import CONNECTIONS
from sfx.toolchain.ir.connection_kinds.base import Connection
from sfx.toolchain.ir.kinds import Refused, Rules
from sfx.toolchain.ir.neurons import NEURONS
from sfx.toolchain.ir.neurons.base import NeuronProgram

ROOT = Path(__file__).resolve().parents[3]
NEURON_RULES = [r.RULES for r in (reference_neurons, fast_neurons, lava_neurons, netx_neurons)]
CONNECTION_RULES = [r.RULES for r in (reference_connections, fast_connections, lava_connections)]


def more(folder: str, part: str) -> list[Rules]:
    """Rules that need something that may not be installed."""
    try:
        module = __import__(f"sfx.{folder}.{part}", fromlist=["RULES"])
    except ModuleNotFoundError:
        return []
    return [module.RULES]


def names(kinds: tuple[type, ...]) -> list[str]:
    return [k.__name__ for k in kinds]


def test_the_kinds_are_found() -> None:
    assert set(names(NEURONS)) >= {"Clock", "Graded", "GradedReLU", "Input", "LIF", "Product"}
    assert set(names(CONNECTIONS)) >= {"Conv2d", "Dense", "Sparse", "Structured"}
    assert {*NEURONS, *CONNECTIONS} <= set(CLASSES.values())


@pytest.mark.parametrize("kind", NEURONS)
def test_every_neuron_program_is_in_every_registry(kind: type[NeuronProgram]) -> None:
    rules = [*NEURON_RULES, *more("backends.onnx", "neurons"), *more("toolchain.qat", "neurons")]
    check(kind, rules)


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_every_connection_is_in_every_registry(kind: type[Connection]) -> None:
    rules = [*CONNECTION_RULES]
    rules += more("backends.onnx", "connections") + more("toolchain.qat", "connections")
    check(kind, rules)


def check(kind: type, rules: list[Rules]) -> None:
    for r in rules:
        entry = r.entry(kind)
        if isinstance(entry, Refused):
            assert re.fullmatch(r"SFX-E\d{3}", entry.code), r.backend
            assert entry.reason, r.backend
            problem = r.refusal(kind, "p")
            assert problem is not None
            assert (problem.code, problem.where) == (entry.code, "p")
        else:
            assert isinstance(entry, r.rule)
            assert r.refusal(kind, "p") is None


def test_no_rule_is_without_its_kind() -> None:
    """A file of rules that no kind has the name of would never be read."""
    for folder, kinds in (("neurons", NEURONS), ("connections", CONNECTIONS)):
        stems = {k.__module__.rpartition(".")[2] for k in kinds}
        found = [*ROOT.glob(f"backends/*/{folder}/*.py")]
        found += [*ROOT.glob(f"toolchain/qat/{folder}/*.py")]
        extra = [str(f) for f in found if f.stem not in stems | {"__init__"}]
        assert len(found) > 16
        assert extra == []


@dataclass(frozen=True)
class Forgotten(NeuronProgram):
    """Nobody has a rule for it."""


def test_a_kind_without_an_entry_is_named_with_its_backend() -> None:
    with pytest.raises(
        TypeError, match=r"the reference has no entry for Forgotten: no .*test_kinds"
    ):
        reference_neurons.RULES[Forgotten]
    with pytest.raises(UnsupportedError, match="SFX-E642 netx does not run Forgotten"):
        netx_neurons.RULES[Forgotten]


@pytest.mark.parametrize("kind", [*NEURONS, *CONNECTIONS])
def test_a_kind_says_what_it_is(kind: type[NeuronProgram] | type[Connection]) -> None:
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "dataclasses write that"
    assert kind.__name__.lower() == kind.__module__.rpartition(".")[2].replace("_", "")
    assert all(isinstance(f.type, str) for f in fields(kind))


def test_some_neurons_of_a_population_keep_their_numbers() -> None:
    from sfx.toolchain.ir.program import LIF

    n = LIF(1, 2, 3, np.array([[10], [20]]))
    part = n.some((2, 3), np.array([5, 0]), spare=1)
    assert isinstance(part, LIF)
    assert part.bias_mant.tolist() == [20, 10, 0]
    assert (part.du, part.dv, part.vth) == (1, 2, 3)
    assert n.constants((2, 3), 5).endswith("bias = 20")
