"""Every form of network the compiler lowers, whole, through Intel's processes: equal in s, u, v."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.ir import graph as g
from sfx.toolchain.targets import load as load_target
from tests.graphs import events, live, live_case, membrane_residual, pooled_currents

pytestmark = [pytest.mark.needs_lava, pytest.mark.slow]


def fed(graph: g.Graph, rate: float = 0.5) -> tuple[g.Graph, np.ndarray]:
    x = events(graph, 8, rate=rate)
    return live(graph, x), x


FORMS: dict[str, Callable[[], tuple[g.Graph, np.ndarray]]] = {
    "attention within a step": lambda: live_case(False, False, 1),
    "causal attention, two blocks": lambda: live_case(False, True, 2),
    "membrane residual": lambda: fed(membrane_residual(dyadic=False, seed=1)),
    "max-pool of currents": lambda: fed(pooled_currents(dyadic=False)),
    "event counts": lambda: (lambda graph, x: (graph, x * 3))(*live_case(False, True, 1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_lava_agrees(form: str) -> None:
    graph, x = FORMS[form]()
    program = compile_graph(graph, load_target("loihi"), x).placed.program
    verdict = api.verify(program, x[:3], states=True)
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == (), "nothing was shown of a population that never fired"
    assert verdict.compared > 5_000
