"""The device code, run by torch on the CPU: the same bits as the reference."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.toolchain.compiler import compile_graph
from sfx.toolchain.errors import BackendError, MissingPartError
from sfx.toolchain.targets import load
from tests.strategies import random_events
from tests.unit.fast.test_equal import NETWORKS, REFERENCE, differences, drawn, wide_program

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch


def on_torch(memory: int = 1 << 28) -> FastBackend:
    return FastBackend(memory, device="torch-cpu")


@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_random_programs(seed: int) -> None:
    program = drawn(seed)
    x = random_events(program, 3, seed)
    got = on_torch(memory=(1, 1 << 28)[seed % 4 // 2]).run(program, x)
    assert differences(REFERENCE.run(program, x), got) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks(name: str) -> None:
    graph, x = NETWORKS[name]()
    program = compile_graph(graph, load("loihi"), x).placed.program
    x = x.astype(np.int64)
    got = on_torch().run(program, x)
    assert differences(REFERENCE.run(program, x), got) == []
    assert got.counts.events[program.readout.population].any()


def test_sums_that_wrap() -> None:
    program, x = wide_program()
    assert differences(REFERENCE.run(program, x), on_torch().run(program, x)) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there() -> None:
    program, x = wide_program()
    with pytest.raises(MissingPartError, match="SFX-E546"):
        FastBackend(device="cuda").run(program, x)


def test_sums_that_no_float_holds_are_refused() -> None:
    from sfx.backends.fast.device_sums import float_for

    assert float_for((1 << 24) - 1, "p") == torch.float32
    assert float_for(1 << 24, "p") == torch.float64
    with pytest.raises(BackendError, match="SFX-E544"):
        float_for(1 << 53, "p")
