"""The reference backend: numpy, int64, the definition of what every other backend must compute."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import Input, Population, Program
from .. import check_input
from ..base import Counts, Progress, Result, Stream, each_alone, lif_names
from . import layers
from .counting import Chunk
from .garbage import before_phase
from .pipeline import Pipeline, Replacement, history_depth, send_as_computed

CHUNK_BYTES = 64 << 20
"""Memory for what a chunk of lanes remembers; small chunks also stay nearer the caches."""


class ReferenceBackend:
    """Executes Programs by the rules of docs/semantics.md, one small file per rule."""

    name = "reference"
    replays_at_once = 1
    """Replays at once: one takes a core, and the memory of its chunks."""

    def stream(
        self,
        program: Program,
        x: IntArray,
        *,
        states: bool = False,
        progress: Progress | None = None,
        garbage: Replacement | int | None = None,
    ) -> Stream:
        """K samples back to back through the pipelined Program, K*T + last_phase steps recorded.

        x [K, T, *input shape]; spikes [H, *shape] int64. `garbage` is for tests: a
        seed makes every population send arbitrary values before its phase, a function whatever it
        returns.
        Raises InputError (SFX-E510, E511) for x, SfxError (SFX-E512) if delays are not balanced.
        """
        check_input.balanced(program)
        x = check_input.events(program, x)
        if program.apart and len(x) > 1:

            def one(sample: IntArray) -> Stream:
                return self.stream(program, sample, states=states, garbage=garbage)

            return each_alone(one, x)
        samples, timesteps = x.shape[:2]
        total = samples * timesteps + program.last_phase
        if isinstance(garbage, int):
            garbage = before_phase(program, garbage)
        lane = x.reshape(1, samples * timesteps, *program.input.shape)
        pipeline = Pipeline(program, lane, replace=garbage or send_as_computed)
        return _recorded(pipeline, total, samples, states, progress)

    def replay(
        self,
        program: Program,
        played: Mapping[str, IntArray],
        steps: int,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run a net whose Inputs, any number of them, send `played` [steps, *shape] as it is.

        Raises InputError (SFX-E513) if `played` lacks an Input or has another shape.
        """
        check_input.balanced(program)
        check_input.played(program, played, steps)

        def play(p: Population, h: int) -> IntArray | None:
            return played[p.name][h] if isinstance(p.neuron, Input) else None

        silent = np.zeros((1, 1, 1), dtype=np.int64)  # every Input's values are replaced
        return _recorded(Pipeline(program, silent, replace=play), steps, 0, states, progress)

    def run(self, program: Program, x: IntArray, *, progress: Progress | None = None) -> Result:
        """K samples side by side, each alone through the pipelined Program.

        x [K, T, *input shape]. Raises as `stream`.
        """
        check_input.balanced(program)
        x = check_input.events(program, x)
        start = time.perf_counter()
        lanes = _lanes(program)
        chunks = [x[i : i + lanes] for i in range(0, len(x), lanes)]
        steps = program.timesteps + program.last_phase
        sums: list[IntArray] = []
        counts: Counts | None = None
        left: Counter[str] = Counter()
        for i, chunk in enumerate(chunks):
            counter = Chunk(program, len(chunk))
            pipeline = Pipeline(program, chunk, observe=counter.before)
            for h in pipeline.steps(steps):
                counter.after(h, pipeline.sent)
                if progress is not None:
                    progress(i * steps + h + 1, len(chunks) * steps)
            sums.append(counter.sums)
            counts = counter.counts if counts is None else counts.plus(counter.counts)
            left.update(counter.left)
        assert counts is not None, "events of no sample are refused above"
        seconds = time.perf_counter() - start
        return Result(self.name, np.concatenate(sums), counts, seconds, dict(left))

    def layers(self, program: Program, x: IntArray) -> dict[str, IntArray]:
        """What every population sends [K, T, *shape], executed layer by layer in model time.

        Uses `lag`, neither phases nor delays, so it takes unbalanced Programs too.
        x [K, T, *input shape]. Raises InputError (SFX-E510, E511).
        """
        x = check_input.events(program, x)
        if not program.apart:
            return layers.run(program, x)
        each = [layers.run(program, x[i : i + 1]) for i in range(len(x))]
        return {p.name: np.concatenate([sent[p.name] for sent in each]) for p in program}


def _recorded(
    pipeline: Pipeline, steps: int, samples: int, states: bool, progress: Progress | None
) -> Stream:
    """Every step of the pipeline's one lane."""
    program = pipeline.program
    spikes = {p.name: np.empty((steps, *p.shape), dtype=np.int64) for p in program}
    lifs = lif_names(program) if states else []
    u = {n: np.empty((steps, *program[n].shape), dtype=np.int64) for n in lifs}
    v = {n: np.empty_like(u[n]) for n in lifs}
    for h in pipeline.steps(steps):
        for name, s in pipeline.sent.items():
            spikes[name][h] = s[0]
        for name in lifs:
            state = pipeline.state[name]
            assert state is not None
            u[name][h], v[name][h] = state.u[0], state.v[0]
        if progress is not None:
            progress(h + 1, steps)
    return Stream(samples, spikes, u, v)


def _lanes(program: Program) -> int:
    """Lanes per chunk, so that its histories and states fit into CHUNK_BYTES; at least 1."""
    values = sum(p.size * (history_depth(program, p) + 4) for p in program)
    return max(1, CHUNK_BYTES // (8 * values))
