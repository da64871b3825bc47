"""Parallel spiking neurons in the authors' own code, known by what they compute and not by name.

The authors of PSN published theirs as plain modules around a layer of T x T weights (`fc`, with
or without a mask) or the taps of a sliding one, time first or second, with a surrogate function
that compares with 0. A module of no library whose parameters and buffers all have one length T, or
length 1, is run on steps that are 0 but for one: what it compares are then its weights. It is such
a neuron if what it compares is W x + b of random numbers too and it sends 1 where that is >= 0;
`probe` then runs it beside the equations, as it does with every neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ...toolchain.ground.errors import UnsupportedError
from .any_shape import set_steps
from .libraries import READERS
from .opaque import Method, Opaque, Run
from .spec import MapSpec
from .untouched import untouched

LONGEST = 512
"""Steps of a map that is looked for: other modules with square weights are left alone."""
HELD = 8
"""Parameters and buffers that such a module has at the most."""
LARGE = 2.0**60
"""The one step that is not 0: no bias moves a weight that is multiplied by it."""
MORE = 3
"""Steps more that a sliding map takes, and one of T x T weights does not."""
TOLERANCE = 64
"""In units of the last place of the sum of all sizes."""
BEHIND = ((2,), (2, 1, 1))
"""Axes after those of steps and samples: some modules unpack their input's."""
COMPARES = {torch.ops.aten.ge.Scalar: True, torch.ops.aten.gt.Scalar: False}
"""Op -> whether it holds for the number itself."""


@dataclass(frozen=True)
class Found:
    """h[t] = sum over s of weight[t, s] x[s] + bias[t], the steps being on `axis` of x.

    taps     a sliding map's, for any T; empty for one of T x T weights
    reached  it fires where h is 0
    """

    weight: Tensor
    bias: Tensor
    axis: int
    reached: bool
    taps: tuple[float, ...] = ()


def could_be(module: nn.Module) -> bool:
    """Whether it is worth running: of no library, and all that it holds has one length T, or 1."""
    if _package(module) == "torch" or any(
        _package(m) in READERS and _held(m) for m in module.modules()
    ):
        return False
    held = _held(module)
    return 0 < len(held) <= HELD and 0 < _length(held) <= LONGEST


def read(module: nn.Module, dt: float, path: str) -> MapSpec | None:
    """The constants of a map of the steps, or None for anything else.

    Raises UnsupportedError SFX-E105 for one that does not fire where h is 0.
    """
    found = look(module)
    if found is None:
        return None
    if not found.reached:
        raise UnsupportedError(
            "SFX-E105",
            f"{type(module).__name__} maps the time steps as parallel spiking neurons do, but "
            "fires at h > 0",
            where=path,
            hint="fire at h >= 0, as SpikingJelly's surrogate functions and its PSN do",
        )
    rows = () if found.taps else tuple(tuple(row) for row in found.weight.tolist())
    bias = found.bias[:1] if found.taps else found.bias
    return MapSpec(1.0, 0.0, reached=True, weight=rows, bias=tuple(bias.tolist()), taps=found.taps)


def opaque(module: nn.Module, spec: MapSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    found = look(module)
    assert found is not None, "it was read"
    return _Mapped(module, spec, found.axis)


class _Mapped(Opaque):
    """`spikes = neuron(x)`, all steps at once, on axis 0 or 1."""

    def __init__(self, module: nn.Module, spec: MapSpec, axis: int) -> None:
        super().__init__(module, spec)
        self.axis = axis

    def methods(self) -> dict[str, Method]:
        """forward."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """The module's own forward."""
        forward = self.module.forward
        return {"forward": lambda x: forward(x.movedim(0, self.axis)).movedim(self.axis, 0)}

    def constants(self) -> list[Tensor]:
        """None of them is a neuron's own."""
        return []

    def _forward(self, x: Tensor) -> Tensor:
        return self.over_time(x.movedim(self.axis, 0))[0].movedim(0, self.axis)


def look(module: nn.Module) -> Found | None:
    """The map that a module computes; None for what computes none."""
    if not could_be(module):
        return None
    steps = _length(_held(module))
    with untouched(module.modules(), values=True), torch.no_grad():
        module.eval()
        for axis in (0, 1):
            found = _map(module, steps, axis)
            if found is not None:
                longer = _map(module, steps + MORE, axis)
                if longer is None:  # of one step, any neuron that starts at rest is a map
                    return found if steps > 1 else None
                return _sliding(found, longer)
    return None


def _package(module: nn.Module) -> str:
    return type(module).__module__.partition(".")[0]


def _held(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _length(held: list[Tensor]) -> int:
    """The one length, besides 1, of all axes of these; 0 if there are several."""
    lengths = {n for t in held for n in t.shape} - {1}
    return 0 if len(lengths) > 1 else next(iter(lengths), 1)


def _sliding(found: Found, longer: Found) -> Found | None:
    """The taps behind a map of T steps and one of a few more; None if they are no taps."""
    first = found.weight[:, 0].tolist()
    taps = tuple(first[::-1])
    late = taps[::-1]
    for made in (found, longer):
        steps = len(made.bias)
        rows = [
            [late[t - s] if 0 <= t - s < len(late) else 0.0 for s in range(steps)]
            for t in range(steps)
        ]
        if made.weight.tolist() != rows or len(made.bias.unique()) != 1:
            return None
    return Found(found.weight, found.bias, found.axis, found.reached, taps)


def _map(module: nn.Module, steps: int, axis: int) -> Found | None:
    """W [T, T] and b [T] that it computes with so many steps, on this axis; None if it does not."""
    unit = torch.zeros(steps, steps + 1)
    unit[:, :steps] = LARGE * torch.eye(steps)
    for behind in BEHIND:
        size = (steps, steps + 1, *behind)
        answers = _compared(module, unit.view(steps, -1, *[1] * len(behind)).expand(size), axis)
        if answers is None:
            continue
        h, reached = answers
        bias = h[:, -1].flatten(1)[:, 0]
        weight = h[:, :steps].flatten(2)[..., 0]
        weight = torch.where(weight == bias[:, None], 0.0, weight / LARGE)
        found = Found(weight, bias, axis, reached)
        return found if _is_that(module, found, size) else None
    return None


def _is_that(module: nn.Module, found: Found, size: tuple[int, ...]) -> bool:
    """Whether it compares W x + b of random x, steps first, and sends 1 where that is >= 0."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=generator)
    answers = _compared(module, x, found.axis)
    if answers is None or not bool(torch.isfinite(found.weight).all()):
        return False
    flat = x.flatten(1).double()
    want = found.weight.double() @ flat + found.bias.double()[:, None]
    sizes = found.weight.double().abs() @ flat.abs() + found.bias.double().abs()[:, None]
    off = (answers[0].flatten(1).double() - want).abs()
    return bool((off <= TOLERANCE * torch.finfo(torch.float32).eps * sizes).all())


def _compared(module: nn.Module, x: Tensor, axis: int) -> tuple[Tensor, bool] | None:
    """What is compared with 0 for x [T, B, ...], and whether 0 itself fires.

    None if that is not one comparison of as many numbers, or not all that its spikes say, and for
    whatever the module raises: it is the user's own code, which may take something else.
    """
    given = x.movedim(0, axis).contiguous()
    seen = _Comparisons(x.numel())
    try:
        with seen, untouched(module.modules()):
            set_steps(module, len(x))
            sent: Any = module.forward(given)
    except (Exception, SystemExit):
        return None
    if not isinstance(sent, Tensor) or sent.shape != given.shape or len(seen.found) != 1:
        return None
    ((h, reached),) = seen.found
    h = h.reshape(given.shape)
    if not torch.equal(sent, (h >= 0 if reached else h > 0).to(sent.dtype)):
        return None
    return h.movedim(axis, 0), reached


class _Comparisons(TorchDispatchMode):
    """Notes every comparison of so many numbers with one: (the difference, whether a tie holds)."""

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = size
        self.found: list[tuple[Tensor, bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the op."""
        if func in COMPARES and args[0].numel() == self.size:
            self.found.append((args[0].clone() - args[1], COMPARES[func]))
        return func(*args, **(kwargs or {}))
