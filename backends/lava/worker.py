"""The worker: `python -m sfx.backends.lava.worker DIRECTORY PARENT` runs one job in Lava.

A process of its own, because Lava sets the start method of multiprocessing when it is imported,
forks one OS process per Lava process, and can hang: when a process model raises before it sends,
its successors wait for ever and Lava's runtime with them. So the run is not waited for but
watched, model by model, and the first one that failed is reported by name.

The worker never stops Lava itself. It reports and waits; the parent ends the whole session, which
is the same for success, failure and timeout. Only if the parent is gone does the worker clean up.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF as LavaLif
from lava.proc.lif.process import LIFReset

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.errors import SfxError
from ...toolchain.ir.program import Population
from . import group, limits
from .build import LavaNetwork, build
from .job import Directory, Job, Outcome, columns
from .neurons import RULES
from .probed_li import PyProbedLI
from .processes.li import LI
from .processes.probe import PROBE, PyProbedLif, PyProbedLifReset
from .processes.record import Record
from .rules import Host

POLL_SECONDS = 0.02
TOLD_SECONDS = 2.0
PARENT_SECONDS = 1.0
"""How often the worker looks whether its parent is still there."""
_KEPT: list[object] = []
"""Lava objects that must outlive the run: collecting one stops its runtime, which can hang."""
PROBES = {LavaLif: PyProbedLif, LIFReset: PyProbedLifReset, LI: PyProbedLI}


def host_events(job: Job, population: Population) -> IntArray:
    """What the host sends to an input or a clock: [neurons, steps] for a RingBuffer source.

    A played input sends its record as it is.
    """
    steps, timesteps = job.steps, job.program.timesteps
    if job.played is not None and population.name in job.played:
        return job.played[population.name].reshape(steps, -1).T
    rule = RULES[type(population.neuron)]
    assert isinstance(rule, Host), "only what the host drives has a source"
    events = job.events.reshape(-1, job.program.input.size)
    return rule.sends(population, events, steps, timesteps)


def assemble(job: Job, directory: Directory) -> tuple[LavaNetwork, Record, dict[int, str]]:
    """The network with sources, probes and the recorder; and Lava process id -> our name."""
    network = build(job.program)
    outputs = dict(network.outputs)
    names = {p.id: name for name, p in [*network.neurons.items(), *network.connections.items()]}
    for p in job.program:
        if p.neuron.driven:
            source = RingBuffer(data=host_events(job, p))
            names[source.id] = p.name
            outputs.setdefault(p.name, source.s_out)
            network.drive(p.name, source.s_out)
    if job.states:
        for name, where in columns(job.program, lif_only=True).items():
            network.neurons[name].proc_params[PROBE] = (str(directory.states), where.start)
    order = [p.name for p in job.program]
    sizes = [job.program[name].size for name in order]
    record = Record(sizes=sizes, values=str(directory.values), clock=str(directory.clock))
    names[record.id] = "the recorder"
    for i, name in enumerate(order):
        outputs[name].connect(record.port(i))
    return network, record, names


def run(job: Job, directory: Directory) -> Outcome:
    """Build, start and run the job."""
    limits.raise_soft(limits.need(job.program, recorded=True))
    directory.set_phase("building")
    network, record, names = assemble(job, directory)
    directory.set_phase("starting")
    probes = PROBES if job.states and any(p.neuron.recorded for p in job.program) else {}
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=probes)
    executable = record.compile(config, {"pypy_channel_size": limits.CHANNEL_SLOTS})
    order = [names[p.id] for p in executable.proc_builders]
    runtime = _runtime(record, executable)
    _KEPT.extend((network, record, runtime))
    try:
        runtime.initialize()
    except Exception as error:
        return _failure_soon(runtime, order) or _failure("Lava", error)
    directory.set_phase("running")
    runtime.start(RunSteps(num_steps=job.steps, blocking=False))
    while not all(port.probe() for port in runtime.service_to_runtime):
        failed = _first_failure(runtime, order)
        if failed:
            return failed
        time.sleep(POLL_SECONDS)
    said = [port.recv() for port in runtime.service_to_runtime]
    steps = directory.done_steps()
    if steps == job.steps and all(enum_equal(x, MGMT_RESPONSE.DONE) for x in said):
        return Outcome(True)
    stopped = Outcome(False, "Lava", f"ended after {steps} of {job.steps} steps")
    return _failure_soon(runtime, order) or stopped


def _runtime(record: Record, executable: Any) -> Any:
    """Lava's runtime, as `AbstractProcess.create_runtime` makes it but not yet initialized."""
    from lava.magma.core.process.message_interface_enum import ActorType
    from lava.magma.runtime.runtime import Runtime

    runtime = Runtime(executable, ActorType.MultiProcessing)
    executable.assign_runtime_to_all_processes(runtime)
    return runtime


def _first_failure(runtime: Any, order: list[str]) -> Outcome | None:
    """The process model that raised, else one that died; actors are in the order of the builders.

    One that ended with status 0 and no exception did not fail: Lava stopped it after another had.
    """
    died = None
    for i, actor in enumerate(runtime._messaging_infrastructure.actors):
        name = order[i] if i < len(order) else "Lava's runtime service"
        if actor.exception:
            error, trace = actor.exception
            return Outcome(False, name, f"{type(error).__name__}: {error}", trace)
        if died is None and not actor.is_alive() and actor.exitcode != 0:
            died = Outcome(False, name, f"its OS process ended with status {actor.exitcode}")
    return died


def _failure_soon(runtime: Any, order: list[str]) -> Outcome | None:
    """As `_first_failure`, for when Lava has been told already: a moment later so are we."""
    deadline = time.monotonic() + TOLD_SECONDS
    while time.monotonic() < deadline:
        failed = _first_failure(runtime, order)
        if failed:
            return failed
        time.sleep(POLL_SECONDS)
    return None


def _failure(where: str, error: BaseException) -> Outcome:
    return Outcome(False, where, f"{type(error).__name__}: {error}", traceback.format_exc())


def _follow(parent: int, directory: Directory) -> None:
    """When the parent is gone, end everything here, the job directory included.

    By a timer signal, because Lava may be blocked anywhere. Forked processes inherit no timer.
    """

    def look(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:
            # not again meanwhile: on a busy machine this takes longer than until the next signal
            signal.setitimer(signal.ITIMER_REAL, 0)
            group.end(os.getsid(0), spare=os.getpid())
            shutil.rmtree(directory.path, ignore_errors=True)
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, PARENT_SECONDS, PARENT_SECONDS)


def main(path: str, parent: str) -> None:
    """Run the job in the directory `path`, report, and wait to be ended."""
    directory = Directory(Path(path))
    # As an exception SIGINT would unwind into Python's own end, which joins Lava's processes, and
    # they wait for each other: end at once instead, and the parent cleans up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _follow(int(parent), directory)
    while (job := directory.read_job()) is None:  # the parent writes it while Lava is imported
        time.sleep(POLL_SECONDS)
    # multiprocessing makes a folder for its sockets: here, where it goes with the job. Relative,
    # because the path of a socket holds 107 bytes at most.
    os.chdir(path)
    tempfile.tempdir = os.curdir
    logging.disable(logging.NOTSET if job.verbose else logging.CRITICAL)
    try:
        outcome = run(job, directory)
    except SfxError as error:
        problem = error.problems[0]
        outcome = Outcome(False, problem.where, problem.what, code=problem.code)
    except Exception as error:
        outcome = _failure("Lava", error)
    directory.finish(outcome)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
