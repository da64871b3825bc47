"""The onnx backend: ONNX Runtime executes the exported Program on the CPU."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Program
from .. import check_input
from ..base import Counts, Progress, Result, Stream, align, each_alone, joined, left_ranges
from . import parts

if TYPE_CHECKING:
    import onnx

_TYPES = {"tensor(bool)": np.bool_, "tensor(int64)": np.int64}
PART = 64
"""Hardware steps per call of ONNX Runtime: how often a stream tells its progress."""
CHUNK_BYTES = 256 << 20
"""Memory for the record of the samples that `run` streams at once."""


@dataclass(frozen=True)
class OnnxBackend:
    """Exports Programs to ONNX and has ONNX Runtime execute them.

    threads  of ONNX Runtime. Integers come out the same with any number; 1 leaves the other
             cores alone.
    """

    threads: int = 1
    name: str = "onnx"

    def stream(
        self,
        program: Program,
        x: IntArray,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run K samples x [K, T, *input shape] back to back; record every hardware step.

        Raises MissingPartError (SFX-E530) without onnx or onnxruntime, InputError (SFX-E510,
        E511) for x, SfxError (SFX-E512, E531) for the Program, BackendError (SFX-E532) if ONNX
        Runtime fails.
        """
        parts.require("onnx", "onnxruntime")
        check_input.balanced(program)
        x = check_input.events(program, x)
        from .export import export

        model = export(program, states=states, resumable=True)
        return execute(model, program, x, self.threads, progress)

    def run(self, program: Program, x: IntArray, *, progress: Progress | None = None) -> Result:
        """Run K samples, streamed in parts; sums and event counts come from the recorded spikes.

        `counts.active` is empty: the model does not give what a neuron has to update.
        Raises as `stream`.
        """
        parts.require("onnx", "onnxruntime")
        check_input.balanced(program)
        x = check_input.events(program, x)
        from .export import export

        start = time.perf_counter()
        model = export(program, resumable=True)
        size = _samples_at_once(program)
        results: list[Result] = []
        for part in (x[i : i + size] for i in range(0, len(x), size)):
            found = self._part(model, program, part)
            if len(part) > 1 and any(found.left.values()):
                # What left its range may reach the next sample, and each is to run alone.
                alone = (part[i : i + 1] for i in range(len(part)))
                found = joined([self._part(model, program, one) for one in alone])
            results.append(found)
            if progress is not None:
                progress(sum(r.counts.samples for r in results), len(x))
        return replace(joined(results), seconds=time.perf_counter() - start)

    def _part(self, model: onnx.ModelProto, program: Program, x: IntArray) -> Result:
        """Samples streamed back to back."""
        record = execute(model, program, x, self.threads)
        sums, events, left = _model_time(program, record)
        return Result(self.name, sums, Counts(len(x), events, {}), 0.0, left)


def execute(
    model: onnx.ModelProto,
    program: Program,
    x: IntArray,
    threads: int = 1,
    progress: Progress | None = None,
) -> Stream:
    """The record that `model`, exported from `program`, gives on x [K, T, *input shape].

    A resumable model runs in parts of PART steps, any other in one. Raises BackendError
    (SFX-E532) if ONNX Runtime cannot load or run it.
    """
    if program.apart and len(x) > 1:
        return each_alone(lambda sample: execute(model, program, sample, threads), x)
    total = len(x) * program.timesteps + program.last_phase
    events = np.zeros((total, *program.input.shape), dtype=np.int64)
    events[: len(x) * program.timesteps] = x.reshape(-1, *program.input.shape)
    told = {m.key: m.value for m in model.metadata_props}
    columns: list[tuple[str, str]] = [(p, q) for p, q in json.loads(told["sfx.outputs"])]
    kept: dict[str, dict[str, IntArray]] = {"spikes": {}, "u": {}, "v": {}}
    for population, quantity in columns:
        shape = (total, *program[population].shape)
        kept[quantity][population] = np.empty(shape, dtype=np.int64)
    session = _session(model.SerializeToString(), threads)
    stream, *carried = session.get_inputs()
    state = [np.zeros(i.shape, dtype=_TYPES[i.type]) for i in carried]
    size = PART if carried else total
    for start in range(0, total, size):
        part = slice(start, min(start + size, total))
        feed = {stream.name: events[part]}
        feed |= {i.name: s for i, s in zip(carried, state, strict=True)}
        records = _infer(session, feed)
        for (population, quantity), values in zip(columns, records, strict=False):
            kept[quantity][population][part] = values
        state = records[len(columns) :]
        if progress is not None:
            progress(part.stop, total)
    return Stream(len(x), kept["spikes"], kept["u"], kept["v"])


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base of their own
        raise _failed(error) from error


def _infer(session: Any, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    try:
        outputs: list[NDArray[Any]] = session.run(None, feed)
    except Exception as error:  # as above
        raise _failed(error) from error
    return outputs


def _failed(error: Exception) -> BackendError:
    return BackendError(
        "SFX-E532",
        f"ONNX Runtime {metadata.version('onnxruntime')} failed: {str(error).strip()[:500]}",
        hint="install the versions of the constraints file",
    )


def _samples_at_once(program: Program) -> int:
    per_sample = 8 * program.timesteps * sum(p.size for p in program)
    return max(1, CHUNK_BYTES // per_sample)


def _model_time(
    program: Program, record: Stream
) -> tuple[IntArray, dict[str, IntArray], dict[str, int]]:
    """Read-out sums [K, classes], events per population [T, *shape], what left its range."""
    k, steps = record.samples, program.timesteps
    aligned = {p.name: align(record.spikes[p.name], p.phase, k, steps) for p in program}
    read = aligned[program.readout.population].reshape(k, steps, -1)
    events = {n: np.count_nonzero(s, axis=0).astype(np.int64) for n, s in aligned.items()}
    return program.readout.sums(read), events, left_ranges(program, aligned)
