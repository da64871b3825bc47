"""Conformance cases on Intel's processes: `python -m tests.conformance.in_lava DIRECTORY`.

Reads cases.pickle, writes answers.pickle (a list of {s, u, v}). Many cases share one Lava run,
because a run costs seconds: neurons as one process with parameters per neuron, connections as
one process per (exponent, sign mode, payload), each case with rows and columns of its own.
A run of its own process, because Lava forks and may hang: `tests.conformance.lava` ends it.
"""

from __future__ import annotations

import pickle
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.prodneuron.process import ProdNeuron
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import determine_sign_mode
from scipy import sparse

from sfx.backends.lava.processes.probe import PROBE, PyProbedLif, PyProbedLifReset
from sfx.backends.lava.processes.record import Record
from tests.conformance.cases import Array, Case

Output = tuple[Any, list[tuple[int, slice]]]
"""An OutPort, and which of its neurons belong to which case."""


class Bench:
    """Builds the processes of one run; `outputs` says where each case's answer appears."""

    def __init__(self, cases: list[Case], states: Path) -> None:
        self.cases, self.states = cases, states
        self.outputs: list[Output] = []
        self.lifs: dict[int, slice] = {}
        self._sources: dict[bytes, Any] = {}

    def source(self, data: Array) -> Any:
        """An OutPort that replays data [steps, neurons]; equal data share a process."""
        key = data.tobytes()
        if key not in self._sources:
            self._sources[key] = RingBuffer(data=data.T.copy())
        return self._sources[key].s_out

    def joined(self, indices: list[int], port: str) -> Any:
        """One source for the inputs of several cases, side by side."""
        return self.source(np.hstack([self.cases[i].inputs[port] for i in indices]))

    def column(self, indices: list[int], name: str) -> Array:
        """One parameter of several cases."""
        return np.array([self.cases[i].params[name] for i in indices])


def lif(bench: Bench) -> None:
    """All LIFs in one process, LIFResets in one per (interval, offset)."""
    groups: dict[tuple[Any, Any], list[int]] = defaultdict(list)
    for i, case in enumerate(bench.cases):
        groups[case.params.get("interval"), case.params.get("offset")].append(i)
    start = 0
    for (interval, offset), members in groups.items():
        names = ("du", "dv", "vth", "bias_mant", "bias_exp")
        options = {name: bench.column(members, name) for name in names}
        if interval is None:
            process = LIF(shape=(len(members),), **options)
        else:
            reset = {"reset_interval": interval, "reset_offset": offset}
            process = LIFReset(shape=(len(members),), **options, **reset)
        process.proc_params[PROBE] = (str(bench.states), start)
        bench.joined(members, "a_in").connect(process.a_in)
        bench.outputs.append((process.s_out, _one_each(members)))
        for k, i in enumerate(members):
            bench.lifs[i] = slice(start + k, start + k + 1)
        start += len(members)


def _one_each(members: list[int]) -> list[tuple[int, slice]]:
    return [(i, slice(k, k + 1)) for k, i in enumerate(members)]


def _per_neuron(variable: Any, values: Array) -> None:
    """A value per neuron where Lava's constructor takes one for all; its model broadcasts both."""
    variable.shape, variable.init = values.shape, values


def graded(bench: Bench) -> None:
    """One process for all."""
    members = list(range(len(bench.cases)))
    kind = GradedVec if bench.cases[0].kind == "GradedVec" else GradedReluVec
    process = kind(shape=(len(members),))
    _per_neuron(process.vth, bench.column(members, "vth"))
    bench.joined(members, "a_in").connect(process.a_in)
    bench.outputs.append((process.s_out, _one_each(members)))


def product(bench: Bench) -> None:
    """One process for all."""
    members = list(range(len(bench.cases)))
    process = ProdNeuron(shape=(len(members),))
    _per_neuron(process.vth, bench.column(members, "vth"))
    _per_neuron(process.exp, bench.column(members, "exp"))
    bench.joined(members, "a_in1").connect(process.a_in1)
    bench.joined(members, "a_in2").connect(process.a_in2)
    bench.outputs.append((process.s_out, _one_each(members)))


def matrix(bench: Bench) -> None:
    """One process per (exponent, sign mode, payload); every case has its block of the matrix."""
    everything = list(range(len(bench.cases)))
    source = bench.joined(everything, "s_in")
    groups: dict[tuple[int, bool, Any], list[int]] = defaultdict(list)
    starts, at = [], 0
    for i, case in enumerate(bench.cases):
        weight = np.array(case.params["weight"])
        mode = determine_sign_mode(weight)
        groups[case.params["exp"], case.params["graded"], mode].append(i)
        starts.append(at)
        at += weight.shape[1]
    for (exponent, is_graded, mode), members in groups.items():
        rows = sum(len(bench.cases[i].params["weight"]) for i in members)
        weights, delays = np.zeros((rows, at), int), np.zeros((rows, at), int)
        places, row = [], 0
        for i in members:
            block = np.array(bench.cases[i].params["weight"])
            where = (slice(row, row + len(block)), slice(starts[i], starts[i] + block.shape[1]))
            weights[where] = block
            delays[where] = bench.cases[i].params["delay"] - 1
            places.append((i, where[0]))
            row += len(block)
        options = {"weight_exp": exponent, "sign_mode": mode, "num_message_bits": 24 * is_graded}
        process = _matrix_process(bench.cases[0].kind, weights, delays, options)
        source.connect(process.s_in)
        bench.outputs.append((process.a_out, places))


def _matrix_process(kind: str, weights: Array, delays: Array, options: dict[str, Any]) -> Any:
    if kind == "Dense":
        return Dense(weights=weights, **options)
    if kind == "DelayDense":
        return DelayDense(weights=weights, delays=delays, **options)
    compressed = sparse.csr_matrix(weights.astype(np.int32))
    if kind == "Sparse":
        return Sparse(weights=compressed, **options)
    late = sparse.csr_matrix(np.where(weights != 0, delays, 0).astype(int))
    return DelaySparse(weights=compressed, delays=late, max_delay=int(delays.max()), **options)


def conv(bench: Bench) -> None:
    """One process per case. Lava convolves over (X, Y, C), PyTorch correlates over (C, Y, X)."""
    for i, case in enumerate(bench.cases):
        c = case.params
        weight = np.flip(np.array(c["weight"]), (2, 3)).transpose(0, 3, 2, 1) << c["exp"]
        channels, height, width = c["in_shape"]
        process = Conv(
            weight=np.ascontiguousarray(weight),
            input_shape=(width, height, channels),
            stride=tuple(c["stride"][::-1]),
            padding=tuple(c["padding"][::-1]),
            dilation=tuple(c["dilation"][::-1]),
            groups=c["groups"],
            num_message_bits=24 * c["graded"],
        )
        port = bench.source(case.inputs["s_in"])
        port.reshape((channels, height, width)).transpose((2, 1, 0)).connect(process.s_in)
        out = process.a_out.transpose((2, 1, 0)).flatten()
        bench.outputs.append((out, [(i, slice(0, int(np.prod(process.a_out.shape))))]))


BUILDERS: dict[str, Callable[[Bench], None]] = {
    "LIF": lif,
    "LIFReset": lif,
    "GradedVec": graded,
    "GradedReluVec": graded,
    "ProdNeuron": product,
    "Dense": matrix,
    "Sparse": matrix,
    "DelayDense": matrix,
    "DelaySparse": matrix,
    "Conv": conv,
}


def run(cases: list[Case], folder: Path) -> list[dict[str, Array]]:
    """What Lava answers to each case; all of one kind and length."""
    steps = cases[0].steps
    states = folder / "states.npy"
    np.save(states, np.zeros((steps, 2, len(cases)), np.int32))
    bench = Bench(cases, states)
    BUILDERS[cases[0].kind](bench)
    sizes = [max(where.stop for _, where in places) for _, places in bench.outputs]
    np.save(folder / "values.npy", np.zeros((steps, sum(sizes)), np.int32))
    np.save(folder / "clock.npy", np.zeros(1, np.int64))
    record = Record(sizes=sizes, values=str(folder / "values.npy"), clock=str(folder / "clock.npy"))
    for k, (port, _) in enumerate(bench.outputs):
        port.connect(record.port(k))
    probes = {LIF: PyProbedLif, LIFReset: PyProbedLifReset} if bench.lifs else {}
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=probes)
    record.create_runtime(config, compile_config={"pypy_channel_size": 4})
    record.run(RunSteps(steps))
    if int(np.load(folder / "clock.npy")[0]) != steps:
        raise RuntimeError("the run ended early")
    answers = _answers(bench, sizes, folder)
    record.stop()
    return answers


def _answers(bench: Bench, sizes: list[int], folder: Path) -> list[dict[str, Array]]:
    values = np.load(folder / "values.npy").astype(np.int64)
    states = np.load(bench.states).astype(np.int64)
    found: dict[int, dict[str, Array]] = {}
    start = 0
    for size, (_, places) in zip(sizes, bench.outputs, strict=True):
        for i, where in places:
            found[i] = {"s": values[:, start + where.start : start + where.stop]}
        start += size
    for i, where in bench.lifs.items():
        found[i] |= {"u": states[:, 0, where], "v": states[:, 1, where]}
    return [found[i] for i in range(len(bench.cases))]


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    sys.setrecursionlimit(10_000)
    loaded = pickle.loads((directory / "cases.pickle").read_bytes())
    (directory / "answers.pickle").write_bytes(pickle.dumps(run(loaded, directory)))
