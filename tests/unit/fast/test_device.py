"""The device code, run by torch on the CPU and on a GPU if there is one: the reference's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.ground.errors import BackendError, MissingPartError
from sfx.toolchain.targets import load
from tests.strategies import random_events
from tests.unit.fast.test_equal import NETWORKS, REFERENCE, differences, drawn, wide_program

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch


HAS_CUDA = torch.cuda.is_available()
DEVICES = [
    "torch-cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not HAS_CUDA, reason="torch finds no CUDA device here")
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_random_programs(seed: int, device: str) -> None:
    program = drawn(seed)
    x = random_events(program, 3, seed)
    got = FastBackend((1, 1 << 28)[seed % 4 // 2], device).run(program, x)
    assert differences(REFERENCE.run(program, x), got) == []


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks(name: str, device: str) -> None:
    graph, x = NETWORKS[name]()
    program = compile_graph(graph, load("loihi"), x).placed.program
    x = x.astype(np.int64)
    got = FastBackend(device=device).run(program, x)
    assert differences(REFERENCE.run(program, x), got) == []
    assert got.counts.events[program.readout.population].any()


@pytest.mark.parametrize("device", DEVICES)
def test_sums_that_wrap(device: str) -> None:
    program, x = wide_program()
    got = FastBackend(device=device).run(program, x)
    assert differences(REFERENCE.run(program, x), got) == []


@pytest.mark.parametrize("device", DEVICES)
def test_one_changed_sum_is_caught(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfx.backends.fast.run import device as code

    true = code.contracted

    def wrong(*arguments: Any) -> torch.Tensor:
        out = true(*arguments)
        out[0, 0] += 1
        return out

    graph, x = NETWORKS["attention"]()
    program = compile_graph(graph, load("loihi"), x).placed.program
    want = REFERENCE.run(program, x.astype(np.int64))
    monkeypatch.setattr(code, "contracted", wrong)
    got = FastBackend(device=device).run(program, x.astype(np.int64))
    assert differences(want, got)


@pytest.mark.skipif(HAS_CUDA, reason="there is a CUDA device")
def test_a_device_that_is_not_there() -> None:
    program, x = wide_program()
    with pytest.raises(MissingPartError, match="SFX-E546"):
        FastBackend(device="cuda").run(program, x)


def test_sums_that_no_float_holds_are_refused() -> None:
    from sfx.backends.fast.run.device_sums import float_for

    assert float_for((1 << 24) - 1, "p") == torch.float32
    assert float_for(1 << 24, "p") == torch.float64
    with pytest.raises(BackendError, match="SFX-E544"):
        float_for(1 << 53, "p")
