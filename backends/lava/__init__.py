"""Backend `lava`: Intel's own Lava processes, tag `fixed_pt`, as the witness of the reference.

backend.py    LavaBackend: stream and run, in a worker process
build.py      Program -> connected Lava processes; `to_lava` for a user's own sources and sinks
choose.py     which connection process a projection becomes
neurons/      one population -> one Lava process, a file per neuron program
connections/  which process a projection becomes, a file per kind;  wires.py makes it
rules.py      what those files offer
processes/    the only Lava processes of ours: a sink that records, a probe that reads u and v
worker.py     the child process that imports Lava, runs a job and reports
runtime.py    starts and watches the worker, and ends it on every way out
limits.py     what a run needs of the machine, refused before it starts
group.py      the worker's processes and shared memory: found, counted, removed
job.py        the files between parent and worker

Only build.py, wires.py, processes/ and worker.py import Lava, and the files of neurons/ once they
make a process, so everything else also imports where Lava is missing.
"""
