"""A replayer on the reference backend's pipeline, so that layerwise's own logic needs no Lava."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sfx.backends.base import Progress, Stream, lif_names
from sfx.backends.reference.pipeline import Pipeline
from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.program import Input, Population, Program


class ReferenceReplayer:
    """Plays records into the Inputs of a net. `programs` keeps what it was asked to run."""

    name = "reference"

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def replay(
        self,
        program: Program,
        played: Mapping[str, IntArray],
        steps: int,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        self.programs.append(program)

        def play(p: Population, h: int) -> IntArray | None:
            return played[p.name][h] if isinstance(p.neuron, Input) else None

        pipeline = Pipeline(program, np.zeros((1, 1, 1), dtype=np.int64), replace=play)
        spikes: dict[str, list[IntArray]] = {p.name: [] for p in program}
        lifs = lif_names(program) if states else []
        u: dict[str, list[IntArray]] = {n: [] for n in lifs}
        v: dict[str, list[IntArray]] = {n: [] for n in lifs}
        for h in pipeline.steps(steps):
            for name, sent in pipeline.sent.items():
                spikes[name].append(sent[0].copy())
            for name in lifs:
                state = pipeline.state[name]
                assert state is not None
                u[name].append(state.u[0].copy())
                v[name].append(state.v[0].copy())
            if progress is not None:
                progress(h + 1, steps)
        return Stream(0, *({n: np.stack(rows) for n, rows in m.items()} for m in (spikes, u, v)))
