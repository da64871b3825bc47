"""Conformance cases as data: a kind, its parameters, its input and what Intel's process gave.

One case is one parameter set. A file holds one JSON object per line, so that a change shows as
one line, and so that any implementation of the rules can replay them without Python.

    kind      LIF, LIFReset, GradedVec, GradedReluVec, ProdNeuron,
              Dense, Sparse, DelayDense, DelaySparse, Conv
    params    integers, and nested lists of them
    inputs    port -> [steps, neurons]
    expected  s, and u, v of LIFs: [steps, neurons], as lava-nc 0.10.0 computed them
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
FOLDER = Path(__file__).parent / "cases"
KINDS = (
    "LIF",
    "LIFReset",
    "GradedVec",
    "GradedReluVec",
    "ProdNeuron",
    "Dense",
    "Sparse",
    "DelayDense",
    "DelaySparse",
    "Conv",
)
STORED = 24
"""Stored cases per kind."""


@dataclass(frozen=True, eq=False)
class Case:
    """One parameter set; see the module docstring."""

    kind: str
    params: dict[str, Any]
    inputs: dict[str, Array]
    expected: dict[str, Array] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Time steps of the inputs."""
        return len(next(iter(self.inputs.values())))

    def having(self, expected: dict[str, Array]) -> Case:
        """The case with its expected values."""
        return replace(self, expected=expected)

    def line(self) -> str:
        """The case as one line of JSON."""
        parts = {
            "kind": self.kind,
            "params": self.params,
            "inputs": {k: v.tolist() for k, v in self.inputs.items()},
            "expected": {k: v.tolist() for k, v in self.expected.items()},
        }
        return json.dumps(parts, separators=(",", ":"))


def parse(line: str) -> Case:
    """The inverse of `Case.line`."""
    parts = json.loads(line)
    arrays = {
        key: {k: np.array(v, dtype=np.int64) for k, v in parts[key].items()}
        for key in ("inputs", "expected")
    }
    return Case(parts["kind"], parts["params"], **arrays)


def path(kind: str) -> Path:
    """The file of one kind."""
    return FOLDER / f"{kind}.jsonl"


def read(kind: str) -> list[Case]:
    """The stored cases of one kind."""
    return [parse(line) for line in path(kind).read_text().splitlines()]


def write(kind: str, cases: Iterable[Case]) -> None:
    """Store the cases of one kind."""
    FOLDER.mkdir(exist_ok=True)
    path(kind).write_text("".join(c.line() + "\n" for c in cases))


def differences(case: Case, got: dict[str, Array]) -> list[str]:
    """One line per quantity that differs: the first step and neuron, expected and got."""
    found = []
    for name, expected in case.expected.items():
        if expected.shape != got[name].shape:
            found.append(f"{case.kind} {name}: shapes {expected.shape} and {got[name].shape}")
        elif not np.array_equal(expected, got[name]):
            step, neuron = map(int, np.argwhere(expected != got[name])[0])
            found.append(
                f"{case.kind} {case.params}: {name} of neuron {neuron} at step {step}: Lava "
                f"{expected[step, neuron]}, reference {got[name][step, neuron]}"
            )
    return found
