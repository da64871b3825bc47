"""The parent's side of `in_lava`: cases in, Intel's answers out, nothing left behind."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import sfx
from sfx.backends.lava import group
from tests.conformance.cases import Array, Case

BATCH = 100
"""Cases per Lava run where each is a process of its own."""
TIMEOUT = 180


def answers(cases: list[Case]) -> list[dict[str, Array]]:
    """What Lava computes for cases of one kind. Shorter ones run on with zero input, unseen."""
    size = BATCH if cases[0].kind == "Conv" else len(cases)
    batches = [cases[i : i + size] for i in range(0, len(cases), size)]
    found = [answer for batch in batches for answer in _batch([_longer(c, batch) for c in batch])]
    return [
        {name: values[: case.steps] for name, values in answer.items()}
        for case, answer in zip(cases, found, strict=True)
    ]


def _longer(case: Case, batch: list[Case]) -> Case:
    extra = max(c.steps for c in batch) - case.steps
    inputs = {name: np.pad(values, ((0, extra), (0, 0))) for name, values in case.inputs.items()}
    return replace(case, inputs=inputs)


def _batch(cases: list[Case]) -> list[dict[str, Array]]:
    root = Path(__file__).parents[2]
    paths = [str(root), str(Path(sfx.__file__).resolve().parents[1])]
    with tempfile.TemporaryDirectory(prefix="sfx-conformance-") as name:
        folder = Path(name)
        (folder / "cases.pickle").write_bytes(pickle.dumps(cases))
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.in_lava", name],
                cwd=root,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                child.wait(TIMEOUT)
            finally:
                group.end(child.pid)
                child.wait()
        if not (folder / "answers.pickle").exists():
            raise RuntimeError((folder / "log").read_text()[-3000:])
        found: list[dict[str, Array]] = pickle.loads((folder / "answers.pickle").read_bytes())
        return found
