"""The reference as a replayer that keeps what it was asked to run."""

from __future__ import annotations

from collections.abc import Mapping

from sfx.backends.base import Progress, Stream
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir.program import Program


class ReferenceReplayer(ReferenceBackend):
    """`programs`: every net that was replayed."""

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
        return super().replay(program, played, steps, states=states, progress=progress)
