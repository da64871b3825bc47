"""What every neuron program declares about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports


class Width(NamedTuple):
    """A number of a neuron program and the least and greatest value that it may have."""

    name: str
    value: int
    low: int
    high: int


# eq=False: those with arrays inherit it, and an inherited comparison of no fields is always true
@dataclass(frozen=True, eq=False)
class NeuronProgram:
    """What each neuron of a population computes at each hardware step.

    A subclass is a frozen dataclass. Its fields are whole numbers, tuples of them for all neurons
    alike, and int64 arrays, which bundles hold by the names of class and fields; its docstring is
    the rule.

    ports        what projections can lead to
    state        what a neuron keeps from step to step, besides what it sends
    binary       it sends 0 and 1 only, whatever it receives
    driven       by the host: it receives nothing and takes no core
    quiet        it keeps no state and sends 0 where one of its ports receives 0
    multiplies   it multiplies what its ports receive
    host_reset   only the host can clear its state, so each sample is run by itself
    unproved     no bound of a step says what it sends: its range is declared and counted
    microcode    it runs as microcode of Loihi 2, not as the fixed LIF of Loihi 1
    colour       of its populations in pictures
    """

    ports: ClassVar[tuple[str, ...]] = ("a_in",)
    state: ClassVar[tuple[str, ...]] = ()
    binary: ClassVar[bool] = False
    driven: ClassVar[bool] = False
    quiet: ClassVar[bool] = False
    multiplies: ClassVar[bool] = False
    host_reset: ClassVar[bool] = False
    unproved: ClassVar[bool] = False
    microcode: ClassVar[bool] = True
    colour: ClassVar[str] = "#72b7b2"

    @property
    def label(self) -> str:
        """What messages and pictures call it."""
        return type(self).__name__

    @property
    def keeps_state(self) -> bool:
        """True if the state carries over from step to step, so that the sample's reset matters."""
        return bool(self.state)

    @property
    def biased(self) -> bool:
        """True if it may send, or hold, something where nothing arrives."""
        return False

    @property
    def recorded(self) -> bool:
        """True if its state is a current u and a membrane v, which runs record."""
        return self.state == ("u", "v")

    @property
    def arrays(self) -> tuple[IntArray, ...]:
        """All arrays, one value per neuron or one for all."""
        return tuple(v for v in vars(self).values() if isinstance(v, np.ndarray))

    @property
    def scalars(self) -> tuple[object, ...]:
        """All numbers that are no arrays."""
        held = [v for v in vars(self).values() if not isinstance(v, np.ndarray)]
        return tuple(n for v in held for n in (v if isinstance(v, tuple) else (v,)))

    def some(self, shape: tuple[int, ...], neurons: IntArray, spare: int = 0) -> NeuronProgram:
        """The program of these neurons (flat indices) of a population of this shape.

        spare  neurons behind them, for which all arrays hold 0
        """
        zeros = np.zeros(spare, np.int64)
        arrays = {
            name: np.concatenate([np.broadcast_to(v, shape).reshape(-1)[neurons], zeros])
            for name, v in vars(self).items()
            if isinstance(v, np.ndarray)
        }
        return replace(self, **arrays)

    def constants(self, shape: tuple[int, ...], neuron: int) -> str:
        """Its numbers for one neuron (flat index) of a population of this shape, for people."""
        told = vars(self.some(shape, np.array([neuron])))
        return f"{self.label} " + ", ".join(
            f"{k} = {v[0] if isinstance(v, np.ndarray) else v}" for k, v in told.items()
        )

    def joint(self, inputs: int) -> bool:
        """True if an event takes all of so many projections at once, as far as one can guess."""
        return self.multiplies

    def input_limit(self, arithmetic: Arithmetic) -> int:
        """What a port receives stays below it in magnitude."""
        return arithmetic.payload_limit

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """Its numbers with their limits."""
        return ()

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """What else is wrong with its numbers (SFX-E342) in a population of this shape."""
        yield from ()

    def sum_faults(
        self,
        where: str,
        shape: tuple[int, ...],
        ports: Ports,
        steady: Ports,
        timesteps: int,
        arithmetic: Arithmetic,
    ) -> Iterator[Problem]:
        """What can go wrong with sums that the ports can receive, at the Program's widths.

        steady  what arrives besides the ticks of clocks, each of which comes once in a sample
        """
        yield from ()

    def sends(self, ports: Ports) -> Bound:
        """What it can send, given what its ports can receive."""
        raise NotImplementedError(f"{type(self).__name__}.sends")

    def sends_within(self, ports: Ports, timesteps: int, arithmetic: Arithmetic) -> Bound:
        """The same where it depends on the steps of a sample and on the Program's widths."""
        return self.sends(ports)


def constant(low: int, high: int) -> Bound:
    """The same bound for all neurons."""
    return Bound(np.array([low], np.int64), np.array([high], np.int64))
