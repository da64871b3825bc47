"""The opaque op `sfx::lif` that takes the place of a neuron while a model is traced.

With it the loop over time is one node of the traced graph instead of T copies of the neuron's
arithmetic. It really computes (so a prepared model still runs), and has a shape rule for tracing.
The op carries a number; `SPECS` holds the constants of the neuron with that number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from .refusal import Refusal
from .spec import LifSpec, MapSpec

NAME = "sfx::lif"
SPECS: WeakValueDictionary[int, LifSpec] = WeakValueDictionary()
"""Neuron number -> its constants, for as long as what stands for the neuron lives."""
_numbers = itertools.count()


def numbered(spec: LifSpec) -> int:
    """A number for `spec`, which the caller keeps alive."""
    number = next(_numbers)
    SPECS[number] = spec
    return number


def levels(v: Tensor, s: LifSpec) -> Tensor:
    """How many spikes an integer neuron sends at v, which has their type."""
    if s.fires == "signed":
        size = v.abs()
        return torch.sign(v) * (size >= s.threshold if s.reached else size > s.threshold)
    return torch.round(torch.clamp(v / s.threshold, 0.0, float(s.most)))


def membranes(steps: Iterator[Tensor], s: LifSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """(v before its reset, whether or how often it fires) at every step: `LifSpec`'s equations.
    A membrane that never fires sends v.

    steps  the input of each step, asked for one by one: it may depend on the spikes before
    """
    if isinstance(s, MapSpec):
        yield from _mapped(torch.stack(list(steps)), s)
        return
    v = i = None
    for step in steps:
        if v is None or i is None:
            v, i = torch.full_like(step, s.start), torch.zeros_like(step)
        i = i + s.syn * (s.w_in * step - i)
        v = v + (s.decay * ((s.leak - v) + s.gain * i) if s.decay else s.gain * step)
        if s.fires == "never":
            yield v, v
            continue
        if s.counts:
            counts = levels(v, s)
            yield v, counts
            fallen = v - counts * s.threshold if s.subtract else torch.full_like(v, s.reset)
            v = torch.where(counts != 0, fallen, v)
            continue
        fired = v >= s.threshold if s.reached else v > s.threshold
        yield v, fired
        after = v - (s.drop or s.threshold) if s.subtract else torch.full_like(v, s.reset)
        v = torch.where(fired, after, v)


def _mapped(x: Tensor, s: MapSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """(h, whether it fires) at every step of x [T, ...]."""
    rows, bias = s.map(len(x))
    if not bias:
        raise Refusal(
            "SFX-E105",
            f"the neuron maps {len(s.bias)} steps onto as many, but runs {len(x)}",
            f"run the model with T = {len(s.bias)}, as it was trained",
        )
    weight, shift = torch.tensor(rows, dtype=x.dtype), torch.tensor(bias, dtype=x.dtype)
    h = torch.addmm(shift.unsqueeze(1), weight, x.flatten(1)).view(x.shape)
    for step in h:
        yield step, step >= 0


def lif_over_time(x: Tensor, s: LifSpec) -> Tensor:
    """Spikes of x [T, ...], time on axis 0."""
    return torch.stack([fired.to(x.dtype) for _, fired in membranes(iter(x.unbind(0)), s)])


def _shapes(x: Tensor, state: list[Tensor], neuron: int, rests: list[float]) -> list[Tensor]:
    ends = [torch.empty_like(x[0]) for _ in rests]
    return [torch.empty_like(x), *ends, *(torch.empty_like(x) for _ in rests)]


def _compute(x: Tensor, state: list[Tensor], neuron: int, rests: list[float]) -> list[Tensor]:
    unknown = [torch.full_like(part, torch.nan) for part in _shapes(x, state, neuron, rests)[1:]]
    return [lif_over_time(x, SPECS[neuron]), *unknown]


# torch.library ships without types
_torch: Any = torch
LIBRARY = _torch.library.Library("sfx", "DEF")
LIBRARY.define("lif(Tensor x, Tensor[] state, int neuron, float[] rests) -> Tensor[]")
LIBRARY.impl("lif", _compute, "CompositeExplicitAutograd")
# the shape rule of an op: the name of its decorator depends on the version
fake = getattr(torch.library, "register_fake", None) or _torch.library.impl_abstract
fake(NAME)(_shapes)


def over_time(
    x: Tensor, number: int, state: Sequence[Tensor] = (), rests: Sequence[float] = ()
) -> list[Tensor]:
    """[spikes of x [T, ...], *states after the last step, *states of all steps].

    state  as the neuron starts: at rest, or what it was left with by a call before
    rests  the value of each state variable at rest; none for a neuron that starts anew every time
    """
    made = _torch.ops.sfx.lif(x, list(state), number, [float(r) for r in rests])
    return cast(list[Tensor], made)
