"""What the compiler takes of a file, a network or a graph: a `Source`, or `Integers`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...ground.errors import InputError
from ...ir.program import Program

if TYPE_CHECKING:
    import nir
    import torch

    from ....frontends.tracing.calls import Exported
    from .witnessing import Witnessed


@dataclass(frozen=True)
class ReadOptions:
    """What a user says about a model file beside its name; a reader looks at what concerns it.

    model          `pkg.module:factory` for a bare state_dict of a user's own network
    example_shape  (T, *input shape) to trace that network with
    input_layout   what that network's forward() takes, see `sources.export`
    timesteps      T, for a file that does not say it, or instead of what a `.net` says
    trust_pickle   let a `.pt` run whatever code it holds
    net_input      what samples of a `.net` hold: raw or transformed
    weights        key of the weights in a training script's file, None: looked for
    dt             seconds of one step of a torch model, None: 1 ms
    example        [T, 1, *input shape] to trace a torch module on, None: of `example_shape`
    """

    model: str | None = None
    example_shape: tuple[int, ...] | None = None
    input_layout: str = "TB"
    timesteps: int | None = None
    trust_pickle: bool = False
    net_input: str | None = None
    weights: str | None = None
    dt: float | None = None
    example: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A model as the compiler takes it: its NIR graph, where it came from, its own samples."""

    graph: nir.NIRGraph
    name: str
    sha256: str
    calibration: NDArray[Any] | None
    trusted: bool = False
    """Read by Python's unpickler, because the user asked for it."""
    weights: str = ""
    """Where in a user's own file the weights were, and under which wrapper; "" if it is plain."""
    exported: Exported | None = None
    """The live torch model, where the graph was traced from one."""
    witnessed: Witnessed | None = None
    """What `export` found when it compared the model with the graph; None: no torch model known."""


@dataclass(frozen=True, eq=False)
class Integers:
    """A Program that is there already: nothing is quantized, only placed.

    facts      what the manifest says of it, beside what every manifest says
    saturates  its integers may leave their range, as lava-dl lets them: an error says where
    """

    program: Program
    name: str
    sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    saturates: bool = False


def of_trained(program: Program, bits: Mapping[str, int]) -> Integers:
    """The integers that a network was trained with, and the bits of their weights."""
    return Integers(program, program.name, facts={"qat": {"weight_bits": dict(bits)}})


def sha256_of(path: Path) -> str:
    """The hash of a file, in hexadecimal digits. Raises InputError (SFX-E600)."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E600", f"cannot be read: {reason}", where=str(path)) from error
