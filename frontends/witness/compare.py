"""Torch beside the graph: every neuron, step and sample, and the output.

Each neuron of the graph is driven twice along torch's recorded spikes (`cut`):

* with the current that the graph makes of them, which must be torch's within float32's rounding;
* with torch's own current, which must give torch's spikes. Where they differ, the membrane may be
  at the threshold within the rounding of its own few operations (`membrane`): a tie. Where nothing
  was rounded there is no excuse: a strict comparison in place of >= is seen by a single tie.

So equal neurons and equal currents make an equal net, up to the ties, which are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ...toolchain.ir import evaluate
from ...toolchain.ir import graph as g
from ...toolchain.ir.graph import FloatArray, Graph, Node
from ...toolchain.ir.stairs import Stairs, stairs
from . import mapped, membrane
from .cut import CURRENT, OUTSIDE, Cut, cut
from .record import Recorded, Recording
from .result import Witness

CAUSES = {
    "SFX-E180": "usual causes: a subclass that overrides forward(), the charge, the firing or the "
    "reset; a surrogate whose forward is no step at >= (or >); a reset value or start that was set "
    "later; a state that one call hands to the next; a threshold off float32's value",
    "SFX-E181": "usual causes: a hook on a neuron or a layer; a constant in forward() that depends "
    "on T or the batch (x.shape[0], len(x)); isinstance() or an attribute of a neuron read in "
    "forward(); a pool or product of event counts; a layer used under two names",
    "SFX-E182": "usual causes: the reduction over the steps; a constant in forward() that depends "
    "on T or the batch; a hook on the last layers",
    "SFX-E183": "on the chip a spike is 0 or 1, or a whole number of an integer neuron: put a "
    "factor into the weights of the next layer, and use a surrogate whose forward is a step",
}
HINT = "; --no-check (check=False) compiles it all the same, on record"


@dataclass
class Tally:
    """Counts while a graph is compared."""

    compared: int = 0
    spikes: int = 0
    ties: int = 0
    near: int = 0
    neurons: dict[str, int] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)


def compare(graph: Graph, recordings: Sequence[Recording]) -> Witness:
    """The float graph beside recordings of the model it was made of.

    Raises InputError at the first neuron, in the order of the graph, that is not torch's: SFX-E180
    spikes, SFX-E181 current, SFX-E183 values other than 0 and 1; SFX-E182 the output; SFX-E185 if
    there is nothing to compare.
    """
    tally = Tally()
    for number, recording in enumerate(recordings):
        Beside(graph, recording, number, tally).run()
    if not tally.neurons:
        why = "; ".join(f"{n}: {w}" for n, w in recordings[0].missing.items()) or "no neuron"
        raise InputError("SFX-E185", f"no neuron can be compared ({why})", where=graph.name,
                         hint="--no-check (check=False) leaves the check out")  # fmt: skip
    ends = 0 if tally.near == 0 else sum(_end_to_end(graph, r) for r in recordings)
    return Witness(
        True,
        samples=len(recordings),
        populations=len(tally.neurons),
        neurons=sum(tally.neurons.values()),
        compared=tally.compared,
        spikes=tally.spikes,
        ties=tally.ties,
        end_to_end=ends,
        silent=tuple(n for n in tally.neurons if n not in tally.fired),
        unmatched=tuple(_unmatched(graph, recordings[0])),
    )


def compare_lowered(graph: Graph, recordings: Sequence[Recording], witness: Witness) -> Witness:
    """The same record beside the graph in neuron form: what the passes made of it. Raises alike."""
    tally = Tally()
    alone, numbers = _slots_as_neurons(graph)
    for number, recording in enumerate(recordings):
        told = recording.without_currents().with_parts(graph).in_slots(numbers)
        Beside(alone, told, number, tally).run()
    return replace(witness, lowered=tally.compared)


def _slots_as_neurons(graph: Graph) -> tuple[Graph, dict[str, tuple[str, int]]]:
    """The graph with each slot of an integer neuron as a neuron that fires once; of whom, which."""
    found: dict[str, tuple[str, int]] = {}
    nodes: list[Node] = []
    for node in graph:
        op = node.op
        if isinstance(op, g.Slot):
            found[node.name] = op.of, op.number
            op = g.LIF(1.0, op.level, reached=op.reached)
        nodes.append(replace(node, op=op))
    return graph.with_nodes(nodes) if found else graph, found


class Beside:
    """One sample: torch's record and the graph that follows it."""

    def __init__(self, graph: Graph, recording: Recording, sample: int, tally: Tally) -> None:
        self.recording, self.sample, self.tally = recording, sample, tally
        self.unit, self.rests = recording.unit, recording.rests
        self.cut: Cut = cut(graph, recording)
        self.graph = graph
        self.problems: dict[str, InputError] = {}
        self.output: FloatArray | None = None

    def run(self) -> None:
        """Compare everything; raises the first difference in the order of the graph."""
        self.cut.run(self.recording.x, self._see)
        for node in self.cut.neurons:
            if node.name in self.problems:
                raise self.problems[node.name]
        self._read_out()

    def _see(self, node: Node, values: FloatArray) -> None:
        if isinstance(node.op, g.Output):
            self.output = values
            return
        name = node.name.removeprefix(CURRENT).removeprefix(OUTSIDE)
        try:
            if node.name.startswith(OUTSIDE):
                self._received(self.graph[name], node.name, values)
                return
            self._neuron(self.graph[name], values, self.recording.neurons[name])
        except InputError as error:
            self.problems[name] = error

    def _neuron(self, node: Node, current: FloatArray, recorded: Recorded) -> None:
        fired = self._fired(node, recorded.sent)
        self.tally.neurons[node.name] = fired[0].size
        self.tally.spikes += int(np.abs(fired).sum())
        if fired.any():
            self.tally.fired.add(node.name)
        self.tally.compared += fired.size
        complete = OUTSIDE + node.name not in self.cut.graph
        if complete and self._received(node, CURRENT + node.name, current):
            assert recorded.current is not None
            self.tally.ties += self._spikes(node, recorded.current, fired, 0.0)
        off = self.cut.sizes[CURRENT + node.name].error(self.unit)
        self.tally.near += self._spikes(node, current, fired, off)

    def _received(self, node: Node, label: str, values: FloatArray) -> bool:
        """Whether torch's module receives this current; raises if it is another one."""
        torchs = self.recording.neurons[node.name].current
        within = any(self.graph[p].module.startswith(f"{node.module}.") for p in node.producers)
        if torchs is None or within:  # it has input weights of its own
            return False
        self._currents(node, values, torchs, self.cut.sizes[label].error(self.unit))
        return True

    def _fired(self, node: Node, sent: NDArray[Any]) -> NDArray[Any]:
        """Where torch fired; how often, of an integer neuron."""
        op = node.op
        assert isinstance(op, g.LIF | g.IF | g.TimeMap)
        once = (0.0, True) if isinstance(op, g.TimeMap) else (op.threshold, op.reached)
        of = stairs(op) or Stairs((once,))
        low, most = -len(of.down), len(of.up)
        wrong = (sent != np.rint(sent)) | (sent < low) | (sent > most)
        if wrong.any():
            at = self._first(wrong)
            raise self._differ(
                "SFX-E183",
                node,
                at,
                float(sent[at]),
                "0 or 1" if (low, most) == (0, 1) else f"{low} to {most}",
                int(wrong.sum()),
                wrong.size,
                "sends",
            )
        return sent.astype(np.int64) if stairs(op) is not None else sent != 0

    def _currents(self, node: Node, got: FloatArray, torchs: NDArray[Any], off: float) -> None:
        self.tally.compared += got.size
        wrong = ~(np.abs(torchs.astype(np.float64) - got) <= off)
        if wrong.any():
            at = self._first(wrong)
            raise self._differ(
                "SFX-E181", node, at, float(torchs[at]), f"{float(got[at]):.9g}",
                int(wrong.sum()), wrong.size, f"receives (rounding explains {off:.1e})",
            )  # fmt: skip

    def _spikes(self, node: Node, x: NDArray[Any], fired: NDArray[Any], received: float) -> int:
        """Ties among the spikes that differ; raises for any other difference."""
        op = node.op
        if isinstance(op, g.TimeMap):
            return self._mapped(node, op, x, fired, received)
        assert isinstance(op, g.LIF | g.IF)
        v = membrane.follow(op, x, fired)
        wrong = membrane.over(op, v) != fired
        if not wrong.any():
            return 0
        cells = np.flatnonzero(wrong.any(axis=0).ravel())
        part = x.reshape(len(x), -1)[:, cells]
        spikes = fired.reshape(len(x), -1)[:, cells]
        rest = self.rests.get(node.name, 0.0)
        away = membrane.distance(op, v.reshape(len(x), -1)[:, cells], spikes)
        within = away <= membrane.error(
            op, part.astype(np.float64), spikes, self.unit, received, rest
        )
        if received == 0:
            within &= membrane.rounded(op, part, spikes, rest)
        excused = np.zeros((len(x), wrong[0].size), bool)
        excused[:, cells] = within
        left = wrong & ~excused.reshape(wrong.shape)
        if left.any():
            at = self._first(left)
            says = (
                f"{int(membrane.over(op, v)[at])} (its v {v[at]:.9g}, threshold {op.threshold:.9g})"
            )
            raise self._differ(
                "SFX-E180", node, at, int(fired[at]), says, int(left.sum()), left.size, "fires"
            )
        return int(wrong.sum())

    def _mapped(
        self, node: Node, op: g.TimeMap, x: NDArray[Any], fired: NDArray[Any], received: float
    ) -> int:
        """The same of neurons that map the steps: h beside 0."""
        h = mapped.sums(op, x)
        wrong = (h >= 0) != fired
        excused = np.abs(h) <= mapped.error(op, x, self.unit, received)
        if received == 0:
            excused &= mapped.rounded(op, x)
        left = wrong & ~excused
        if left.any():
            at = self._first(left)
            says = f"{int(h[at] >= 0)} (its sum {h[at]:.9g}, which fires from 0 on)"
            raise self._differ(
                "SFX-E180", node, at, int(fired[at]), says, int(left.sum()), left.size, "fires"
            )
        return int(wrong.sum())

    def _read_out(self) -> None:
        torchs, got = self.recording.output, self.output
        if torchs is None or got is None:
            return
        (node,) = self.graph.of_type(g.Output)
        size = self.cut.sizes[node.name]
        op = node.op
        assert isinstance(op, g.Output)
        if torchs.ndim == got.ndim - 1:
            got = evaluate.readout(self.graph, got[None])[0]
            steps = self.graph.timesteps
            most = sum(map(abs, op.weights)) if op.weights else steps if op.reduce == "sum" else 1
            grown = size.magnitude * most
            size = replace(size, magnitude=grown, roundings=size.roundings + steps + 1)
        off = size.error(self.unit)
        self.tally.compared += got.size
        wrong = ~(np.abs(torchs.astype(np.float64) - got) <= off)
        if wrong.any():
            at = self._first(wrong)
            raise self._differ(
                "SFX-E182", node, at, float(torchs[at]), f"{float(got[at]):.9g}",
                int(wrong.sum()), wrong.size, f"is (rounding explains {off:.1e})",
            )  # fmt: skip

    def _first(self, wrong: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))

    def _differ(
        self, code: str, node: Node, at: tuple[int, ...], torchs: object, ours: str,
        count: int, of: int, verb: str,
    ) -> InputError:  # fmt: skip
        reduced = code == "SFX-E182" and len(at) == len(node.shape)
        index = at if reduced else at[1:]
        step = "" if reduced else f", step {at[0]}"
        what = "the output" if code == "SFX-E182" else "the neuron"
        place = ", ".join(map(str, index))
        return InputError(
            code,
            f"the graph is not the model: {what} [{place}] {verb} {torchs:.9g} in torch and {ours} "
            f"in the graph, at sample {self.sample}{step}; {count:,} of its {of:,} values differ",
            where=node.module or node.name,
            hint=CAUSES[code] + HINT,
        )


def _end_to_end(graph: Graph, recording: Recording) -> int:
    """Spikes that differ where the graph runs on its own."""
    names = [n for n in recording.neurons if n in graph]
    ran = evaluate.record(graph, recording.x[None], names)
    return sum(int((ran[n][0] != recording.neurons[n].sent).sum()) for n in names)


def _unmatched(graph: Graph, recording: Recording) -> list[str]:
    found = [f"{n} ({why})" for n, why in recording.missing.items()]
    others = [n.name for n in graph.of_type(g.LIF, g.IF) if n.name not in recording.neurons]
    found += [f"{n} (no module of the model)" for n in others if n not in recording.missing]
    if recording.output is None:
        found.append("the output (not a tensor of the traced form)")
    return found
