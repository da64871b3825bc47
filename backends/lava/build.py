"""Program -> connected Lava processes.

The host-driven populations (the input and the clocks) become no process, or one that encodes
what the host sends: whoever runs the network drives them, sfx with a RingBuffer, a user with what
they like. All ports are flat.
"""

from __future__ import annotations

import logging
import multiprocessing
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Population, Program, Projection
from .. import check_input
from . import limits, widths
from .choose import choose
from .connections import RULES as CONNECTIONS
from .neurons import RULES as NEURONS
from .rules import Host, Process
from .runtime import require

if TYPE_CHECKING:
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess


@dataclass(frozen=True, eq=False)
class LavaNetwork:
    """A Program as connected Lava processes, without sources and sinks.

    neurons      population name -> neuron process (LIF, LIFReset, GradedVec, ...), flat; for an
                 input that encodes its events, what encodes them
    connections  projection name -> connection process (Dense, Sparse, Conv, Delay...)
    inputs       host-driven population (the input, the clocks) -> the InPorts that its events
                 enter. Shape (neurons,), but (width, height, channels) for a Conv: use `drive`
    outputs      population name -> OutPort of shape (neurons,), C order of the population's shape

    Lava step h + 1 is hardware step h. Drive every clock with 1 at the hardware steps h where
    (h - phase) mod T = T - 1, else 0; T is the clock's own where it has one
    (`sfx.toolchain.ir.program.Clock`).
    """

    program: Program
    neurons: Mapping[str, AbstractProcess]
    connections: Mapping[str, AbstractProcess]
    inputs: Mapping[str, tuple[InPort, ...]]
    outputs: Mapping[str, OutPort]

    def drive(self, population: str, port: OutPort) -> None:
        """Connect a flat OutPort [neurons] to everything that a host-driven population feeds.

        Raises BackendError (SFX-E521) if there is no such population or the shape differs.
        """
        if population not in self.inputs:
            raise BackendError(
                "SFX-E521",
                "is not driven by the host",
                where=population,
                hint=f"one of: {', '.join(self.inputs)}",
            )
        size = self.program[population].size
        if tuple(port.shape) != (size,):
            raise BackendError(
                "SFX-E521",
                f"needs a port of shape ({size},), got {tuple(port.shape)}",
                where=population,
                hint="flatten it: port.flatten()",
            )
        from .wires import connect_in

        if population in self.neurons:
            port.connect(self.neurons[population].a_in)
            return
        for j in self.program.outgoing[population]:
            connect_in(port, j, self.connections[j.name])

    @property
    def input(self) -> str:
        """Name of the population that the sample's events enter."""
        return self.program.input.name

    @property
    def output(self) -> str:
        """Name of the population that is read out."""
        return self.program.readout.population


def to_lava(program: Program) -> LavaNetwork:
    """Connected Lava processes with named in and out ports, to run as you like.

    Attach sources with `network.drive(network.input, source.s_out)` and sinks with
    `network.outputs[network.output].connect(sink.a_in)`, then run any of the processes with
    Loihi2SimCfg(select_tag="fixed_pt") here or Loihi2HwCfg where you have it.

    Raises MissingPartError (SFX-E501) without Lava, BackendError (SFX-E503, SFX-E520) if the
    network is more than this machine can run or a delay is not in 1..64.
    """
    widths.loihis(program)
    require()
    check_input.kinds(program, NEURONS, CONNECTIONS)
    limits.raise_soft(limits.need(program))
    return build(program)


def build(program: Program) -> LavaNetwork:
    """The network itself; needs Lava, checks nothing of the machine."""
    try:
        with _start_method_free():
            from . import wires as lava
    except RuntimeError as error:  # Lava sets the start method when it is imported
        raise BackendError(
            "SFX-E522",
            f"Lava cannot be imported: {error}",
            hint="Lava starts its processes by fork: set no other start method of "
            "multiprocessing, or import lava before it is set",
        ) from error
    with _own_log_handlers():
        cells = {
            p.name: made for p in program if (made := _process(p, program.timesteps)) is not None
        }
        wires = {
            j.name: lava.connection(j, choose(j, program[j.pre]), program[j.pre], program[j.post])
            for j in program.projections
        }
        for label, process in _labels({**cells, **{f"{k}__syn": v for k, v in wires.items()}}):
            process.name = label
    for j in program.projections:
        if j.pre in cells:
            lava.connect_in(cells[j.pre].s_out, j, wires[j.name])
        lava.connect_out(wires[j.name], _in_port(cells[j.post], j))
    inputs = {
        p.name: (cells[p.name].a_in,)
        if p.name in cells
        else tuple(wires[j.name].s_in for j in program.outgoing[p.name])
        for p in program
        if p.neuron.driven
    }
    outputs = {name: process.s_out for name, process in cells.items()}
    return LavaNetwork(program, cells, wires, inputs, outputs)


def _process(population: Population, timesteps: int) -> Any:
    """The neurons; None where the host drives them and nothing encodes what it sends."""
    rule = NEURONS[type(population.neuron)]
    if isinstance(rule, Host):
        return None if rule.encoder is None else rule.encoder(population)
    assert isinstance(rule, Process), "a rule is a Process or a Host"
    return rule.make(population, timesteps)


def _in_port(process: Any, projection: Projection) -> Any:
    return getattr(process, projection.port)


def _labels(processes: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Names of letters, digits and _ only, made unique."""
    seen: set[str] = set()
    for name, process in processes.items():
        base = label = re.sub(r"\W", "_", name)
        number = 1
        while label in seen:
            number += 1
            label = f"{base}_{number}"
        seen.add(label)
        yield label, process


@contextmanager
def _start_method_free() -> Iterator[None]:
    """Let Lava set fork as the start method of processes where it is fork already.

    Many libraries (numba, torch's loaders, Dask) settle it merely by asking for it.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    if before == "fork":
        multiprocessing.set_start_method(None, force=True)
    try:
        yield
    finally:
        if before == "fork":
            multiprocessing.set_start_method("fork", force=True)


@contextmanager
def _own_log_handlers() -> Iterator[None]:
    """Drop the log handlers that Lava adds to the root logger, one for every process."""
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        yield
    finally:
        for handler in [h for h in root.handlers if h not in before]:
            root.removeHandler(handler)
