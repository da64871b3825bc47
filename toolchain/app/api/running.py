"""Programs on backends: run, stream, verify, replay."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....backends.base import Backend, Progress, Result, Stream
from ...data import Samples, at_every_step, check_input, classes_fit, samples_of
from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError
from ...ground.memory import require
from ...ir.digest import digest, same_program
from ...ir.memory_use import VALUE, of_record, of_run
from ...ir.program import Program

if TYPE_CHECKING:
    from ...verify.compare import Verdict
    from ...verify.replay import Replay, Row

BACKENDS = ("reference", "fast", "lava", "onnx")


def backend(name: str, *, memory: int | None = None, device: str = "cpu") -> Backend:
    """The backend called `name`. Raises InputError (SFX-E630) or MissingPartError.

    memory (bytes of a batch, and the most that a sample may take) and device ("cpu" or "cuda")
    are for `fast`.
    """
    if name == "reference":
        from ....backends.reference.backend import ReferenceBackend

        return ReferenceBackend()
    if name == "fast":
        from ....backends.fast.backend import MEMORY, FastBackend

        return FastBackend(memory or MEMORY, device, memory)
    if name == "lava":
        from ....backends.lava.backend import LavaBackend

        return LavaBackend()
    if name == "onnx":
        from ....backends.onnx.backend import OnnxBackend

        return OnnxBackend()
    raise InputError(
        "SFX-E630", f"there is no backend '{name}'", hint=f"one of: {', '.join(BACKENDS)}"
    )


def run(
    bundle: Bundle | Program,
    data: Samples,
    *,
    backend_name: str = "fast",
    memory: int | None = None,
    device: str = "cpu",
    engine: str = "local",
    scheduler: str | None = None,
    tls: tuple[Path | None, Path | None, Path | None] = (None, None, None),
    progress: Progress | None = None,
) -> Result:
    """Simulated hardware inference on every sample of `data`.

    data: `sfx.Data`, a DATA file, or x [K, T, *input shape] of event counts as an array, a torch
    tensor or lists; [K, *input shape] is shown at every step. Labels outside the classes of the
    model are refused (SFX-E617), and so are values that are not counts (SFX-E611, E612, E616).

    engine "dask" distributes the samples over the workers of `scheduler` (an address; None: one
    worker per core of this machine, which no other user can reach); tls: CA, certificate and key
    (PEM files) for one at tls://. memory, device: as of `backend`. Raises InputError (SFX-E630,
    E631; SFX-E605 if one sample takes more memory than there is, or than `memory`).
    """
    program = program_of(bundle)
    given = samples_of(data)
    classes = program[program.readout.population].size
    classes_fit(given.y, classes)
    require(of_run(program, backend_name), f"one sample on {backend_name}", allowed=memory)
    x = events_of(program, given.x)
    require(VALUE * len(x) * classes, "the sums of all samples", where="data")
    make = functools.partial(backend, backend_name, memory=memory, device=device)
    if engine == "dask":
        from ..cluster import pool as cluster
        from ..cluster.start import tls_of

        files = tls_of(*tls)
        if files and scheduler is None:
            raise InputError("SFX-E663", "TLS files need a scheduler", hint="--scheduler ADDRESS")
        return cluster.run(program, x, make, scheduler=scheduler, tls=files, progress=progress)
    if engine != "local" or scheduler is not None or any(tls):
        raise InputError(
            "SFX-E631",
            f"there is no engine '{engine}'"
            if engine != "local"
            else "--scheduler needs --engine dask",
            hint="one of: local, dask",
        )
    return make().run(program, x, progress=progress)


def stream(
    bundle: Bundle | Program,
    x: Samples,
    backend_name: str,
    *,
    states: bool = False,
    progress: Progress | None = None,
) -> Stream:
    """The hardware-step record of samples streamed back to back; x as of `run`."""
    program = program_of(bundle)
    events = events_of(program, samples_of(x).x)
    return backend(backend_name).stream(program, events, states=states, progress=progress)


def events_of(program: Program, x: NDArray[Any]) -> NDArray[np.int64]:
    """Samples [K, T, *input shape], or [K, *input shape] for every step, checked."""
    x = at_every_step(x, program.input.shape, program.timesteps)
    check_input(x, program.input, program.timesteps, "data")
    require(VALUE * x.size, "the samples as integers of 64 bits", where="data")
    return x.astype(np.int64)


def verify(
    bundle: Bundle | Program,
    x: Samples,
    *,
    against: str = "lava",
    mode: str = "full",
    states: bool = False,
    witness: Program | None = None,
    sample_fraction: float = 1.0,
    resume: Path | None = None,
    replay_file: Path | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Run the reference and `against` on the samples streamed back to back; compare everything.

    x     samples as in `run`; labels are ignored
    mode  full: the whole net in one run; layerwise: what each population received is replayed
          through `against` alone, of `sample_fraction` of its neurons, kept in `resume`
    witness  run `against` on this Program instead, to see that the comparison can fail
    replay_file  written if something differs: the first such neuron, with all that it received
    memory  bytes that it may use; refused before it starts (SFX-E605) if it needs more
    Raises MissingPartError where the witness is not installed.
    """
    from ...verify.compare import compare
    from ...verify.layerwise import layerwise, replayer

    _check_mode(mode, sample_fraction != 1 or resume is not None)
    program = program_of(bundle)
    other = witness or program
    if [(p.name, p.shape) for p in program] != [(p.name, p.shape) for p in other]:
        raise InputError("SFX-E703", "the two Programs do not have the same populations")
    x = events_of(program, samples_of(x).x)
    steps = len(x) * program.timesteps + program.last_phase
    records = of_record(program, steps, states) * (1 if mode == "layerwise" else 2)
    require(records, f"the record of {steps} steps", allowed=memory)
    if mode == "layerwise":
        chosen = replayer(backend(against))
        expected = stream(program, x, "reference", states=states)
        verdict = layerwise(
            program,
            x,
            expected,
            chosen,
            witness=other,
            states=states,
            fraction=sample_fraction,
            resume=resume,
            progress=progress,
        )
    else:
        got = stream(other, x, against, states=states, progress=progress)
        expected = stream(program, x, "reference", states=states)
        got, count = _cut(got, expected.steps), len(x)
        verdict = compare(
            program, expected, got, against=against, mode=mode, states=states, samples=count
        )
    return _explained(verdict, program, other, x, expected, replay_file)


def _check_mode(mode: str, layerwise_only: bool) -> None:
    """Raise InputError (SFX-E702) for a mode that there is not, or options of the other."""
    if mode not in ("full", "layerwise"):
        raise InputError("SFX-E702", f"there is no mode '{mode}'", hint="full or layerwise")
    if mode == "full" and layerwise_only:
        raise InputError("SFX-E702", "--sample-fraction and --resume need --mode layerwise")


def _explained(
    verdict: Verdict,
    program: Program,
    witness: Program,
    x: NDArray[Any],
    expected: Stream,
    replay_file: Path | None,
) -> Verdict:
    """The verdict with the operands of its first mismatch, which also go to `replay_file`."""
    from ....backends.reference.backend import ReferenceBackend
    from ...verify import replay as replays
    from ...verify.cause import cause

    if witness is not program:
        verdict = replace(verdict, witness=digest(witness))
    first = verdict.first_mismatch
    if first is None:
        return verdict
    found = replays.replay_of(
        program, witness, x.astype(np.int64), expected, first, verdict.against
    )
    if found is None:
        return verdict
    if replay_file is not None:
        replays.write(found, replay_file)
    side = found.expected
    alone = ReferenceBackend().replay(side.program, side.played, found.steps, states=True)
    made = cause(program, expected, first.population, first.neuron, first.step, alone, found.label)
    return verdict if made is None else replace(verdict, cause=tuple(made.lines()))


def _cut(record: Stream, steps: int) -> Stream:
    """A witness Program with other delays may run longer; compare the steps both have."""
    if record.steps <= steps:
        return record
    parts = [{k: a[:steps] for k, a in m.items()} for m in (record.spikes, record.u, record.v)]
    return Stream(record.samples, *parts)


def replay(
    path: str | Path, *, against: str | None = None, bundle: Bundle | Program | None = None
) -> tuple[Replay, list[Row]]:
    """Run the neuron in a replay file again, on the reference and on `against`, step by step.

    against: the witness; by default the one that the file was written with.
    bundle: the model that the file must be of (the file holds all that it needs to run).
    Raises InputError (SFX-E600, E601, E708; E709 if the file is of another Program),
    MissingPartError without the witness.
    """
    from ....backends.reference.backend import ReferenceBackend
    from ...verify import replay as replays
    from ...verify.layerwise import replayer

    found = replays.read(Path(path))
    if bundle is not None:
        same_program(found.program, program_of(bundle), str(path), "is the replay")
    witness = replayer(backend(against or found.against))
    return found, replays.rerun(found, ReferenceBackend(), witness)


def program_of(bundle: Bundle | Program) -> Program:
    """The Program of either."""
    return bundle if isinstance(bundle, Program) else bundle.program
