"""Whether a neuron module computes what its constants imply: it is run next to the equations.

A subclass may override any method, an instance may have one replaced, a surrogate function may
fire as it likes, and a constant may mean another thing in another version of its library. So no
name decides, but the module's own spikes, from rest, on inputs that bring it below and above its
threshold, onto it exactly, far beyond it, and to negative membranes.

A step where rounding may decide (the membrane within TOLERANCE of the threshold, with numbers that
float32 rounds) says nothing, nor do later steps of that neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...toolchain.ground.errors import UnsupportedError
from .libraries import READERS
from .lif_op import membranes
from .opaque import Opaque, Run
from .spec import LifSpec, MapSpec
from .step_op import Recurrent
from .untouched import untouched

STEPS = 16
LANES = 64
"""Samples of one probe; fewer where a neuron has many constants."""
SIZE = 4
"""Height and width of what a recurrent convolution is probed on, at least its kernel's."""
TOLERANCE = 512
"""In units of the last place of the largest number."""
CONSTANT = (0.0, 0.25, -0.25, 0.5, 0.75, 1.0, 1.25, 2.0, 3.0, 5.0, -1.0)
"""Inputs that stay the same, as multiples of the one that just reaches the threshold."""


@dataclass(frozen=True)
class Difference:
    """The first spike that differs. inputs: those of this neuron up to and with `step`."""

    step: int
    inputs: tuple[float, ...]
    got: str
    want: float


def check(opaque: Opaque, path: str) -> None:
    """Raise UnsupportedError SFX-E108 where the module's own spikes differ, SFX-E190 for hooks.

    Only the method that forward() comes to decides; another one that differs is refused where the
    model calls it.
    """
    _no_hooks_inside(opaque.module, path)
    with untouched(opaque.module.modules(), values=True), torch.no_grad(), _no_global_hooks():
        opaque.module.eval()
        runs = opaque.runs()
        for i, (name, run) in enumerate(runs.items()):
            error = _compare(opaque, name, run, path)
            if error is not None and i == 0:
                raise error
            if error is not None:
                opaque.differing[name] = error


def _compare(opaque: Opaque, name: str, run: Run, path: str) -> UnsupportedError | None:
    x = _inputs(opaque)
    try:
        spikes = run(x)
    except Exception as error:  # the user's own code
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return _refused(opaque, name, path, f"cannot be run on its own, on {_shape(x)} ({what})")
    found = _difference(opaque, x, spikes)
    if found is None:
        return None
    fed = ", ".join(f"{v:g}" for v in found.inputs)
    return _refused(
        opaque,
        name,
        path,
        f"sends {found.got} at step {found.step} of the inputs {fed} from rest, "
        f"but its constants give {found.want:g}",
    )


def _refused(opaque: Opaque, name: str, path: str, what: str) -> UnsupportedError:
    cls = type(opaque.module).__name__
    changed = overridden(opaque.module, _package(opaque.module))
    why = f" ({cls} overrides {', '.join(changed)})" if changed else ""
    return UnsupportedError(
        "SFX-E108",
        f"{cls}.{name} {what}{why}",
        where=path,
        hint="use the library's neuron as it is; put what happens to its input and output into "
        "the model's forward(), and use a surrogate that computes a step function",
    )


def _shape(x: Tensor) -> str:
    return f"an input [{', '.join(map(str, x.shape))}]"


# --- inputs ---------------------------------------------------------------------------------


def _inputs(opaque: Opaque) -> Tensor:
    """x [STEPS, lanes, *neurons] for the module: its own input where it has input weights."""
    shape = _neurons(opaque)
    lanes = max(8, min(LANES, 2**18 // max(1, math.prod(shape))))
    generator = torch.Generator().manual_seed(0)
    top = 25 + 8 * opaque.spec.most
    bottom = -24 if opaque.spec.fires == "signed" else -8
    steps = _steps(opaque.spec)
    eighths = torch.randint(bottom, top, (steps, lanes, *shape), generator=generator)
    level = eighths / 8
    for lane, value in enumerate(CONSTANT[: lanes // 2]):
        level[:, lane] = value
    level[steps // 2 :, lanes // 2 : lanes // 2 + 4] *= -1  # from firing to negative and back
    return (level * _reach(opaque.spec)).to(_dtype(opaque.module))


def _steps(s: LifSpec) -> int:
    """Steps of a probe: a map of the steps has its own number of them."""
    return len(s.weight) or STEPS if isinstance(s, MapSpec) else STEPS


def _reach(s: LifSpec) -> float:
    """The input that brings the membrane from its start to the threshold in one step."""
    gain = s.decay * s.gain * s.syn * s.w_in if s.decay else s.gain
    leak = s.decay * (s.leak - s.start) if s.decay else 0.0
    reach = (_threshold(s) - s.start - leak) / gain
    return reach if math.isfinite(reach) and abs(reach) > 1e-12 else 1.0


def _neurons(opaque: Opaque) -> tuple[int, ...]:
    """The shape of one sample's input."""
    module = opaque.module
    if opaque.inside:
        return (int(module.input_weights.shape[1]),)
    weight = None if opaque.recurrent is None else opaque.recurrent.weight
    if weight is not None and weight.dim() == 4:
        return (int(weight.shape[0]), *(max(SIZE, int(k)) for k in weight.shape[2:]))
    if weight is not None and weight.dim() == 2:
        return (int(weight.shape[0]),)
    shapes = [tuple(t.shape) for t in opaque.constants()]
    shape = tuple(torch.broadcast_shapes(*shapes)) if shapes else ()
    return shape or (1,)


def _dtype(module: nn.Module) -> torch.dtype:
    held = (t.dtype for t in (*module.parameters(), *module.buffers()) if t.is_floating_point())
    return next(held, torch.get_default_dtype())


# --- comparison -----------------------------------------------------------------------------


def _difference(opaque: Opaque, x: Tensor, got: Any) -> Difference | None:
    """The first difference between the spikes `got` and those of the equations."""
    fed = functional.linear(x, opaque.module.input_weights) if opaque.inside else x
    if not isinstance(got, Tensor) or got.shape != fed.shape:
        kind = _shape(got) if isinstance(got, Tensor) else type(got).__name__
        return Difference(0, (0.0,), kind.replace("an input", "values"), 0)
    if opaque.spec.fires == "never":
        return _membranes_differ(opaque, fed, got)
    want, sure = _expected(opaque, fed)
    wrong = sure & (got.double() != want.double())
    if not bool(wrong.any()):
        return None
    step, *place = (int(i) for i in wrong.nonzero()[0])
    here = tuple(place)
    inputs = fed[: step + 1].movedim(0, -1)[here]
    value = f"{float(got[step][here]):g}"
    return Difference(step, tuple(inputs.tolist()), value, int(want[step][here]))


def _membranes_differ(opaque: Opaque, x: Tensor, got: Tensor) -> Difference | None:
    """The first membrane of a neuron that never fires which rounding does not explain."""
    want = torch.stack([v for v, _ in _simulate(x.double(), opaque.spec, None)])
    largest = max(float(want.abs().max()), float(x.abs().max()))
    off = (got.double() - want).abs()
    wrong = ~(off <= TOLERANCE * torch.finfo(x.dtype).eps * largest)
    if not bool(wrong.any()):
        return None
    step, *place = (int(i) for i in wrong.nonzero()[0])
    here = tuple(place)
    inputs = x[: step + 1].movedim(0, -1)[here].tolist()
    return Difference(step, tuple(inputs), f"{float(got[step][here]):g}", float(want[step][here]))


def _expected(opaque: Opaque, x: Tensor) -> tuple[Tensor, Tensor]:
    """(spikes, whether rounding cannot have changed them) of x, both of its shape."""
    spec = opaque.spec
    exact = _exact_threshold(spec)
    ours = _simulate(x.double(), spec, opaque.recurrent)
    theirs = _simulate(x, spec, opaque.recurrent)
    largest = max(abs(_threshold(spec)), abs(spec.start), float(x.abs().max()))
    spikes, sures = [], []
    sure = torch.ones_like(x[0], dtype=torch.bool)
    same = sure.clone()
    for (v, fired), (rounded, _) in zip(ours, theirs, strict=True):
        largest = max(largest, float(v.abs().max()))
        near = _distance(v, spec) <= TOLERANCE * torch.finfo(x.dtype).eps * largest
        same = same & (v == rounded.double()) & exact
        sure = sure & (same | ~near)
        if opaque.recurrent is not None:  # one uncertain neuron reaches all of its sample
            sure = sure & sure.flatten(1).all(1).view(-1, *[1] * (sure.dim() - 1))
        spikes.append(fired)
        sures.append(sure)
    return torch.stack(spikes), torch.stack(sures)


def _simulate(x: Tensor, spec: LifSpec, recurrent: Recurrent | None) -> list[tuple[Tensor, Tensor]]:
    """(v before its reset, whether it fires) at every step, in the precision of x."""
    found: list[tuple[Tensor, Tensor]] = []

    def inputs() -> Iterator[Tensor]:
        for step in x:
            before = found[-1][1].to(x.dtype) if found else torch.zeros_like(step)
            yield step if recurrent is None else step + fed_back(recurrent, before)

    for made in membranes(inputs(), spec):
        found.append(made)
    return found


def fed_back(recurrent: Recurrent, spikes: Tensor) -> Tensor:
    """What the spikes [B, ...] of a step add to the input of the next one."""
    weight = recurrent.weight.to(spikes.dtype)
    bias = None if recurrent.bias is None else recurrent.bias.detach().to(spikes.dtype)
    if weight.dim() == 4:
        pad = (weight.shape[2] // 2, weight.shape[3] // 2)
        return functional.conv2d(spikes, weight, bias, padding=pad)
    if weight.dim() == 2:
        return functional.linear(spikes, weight, bias)
    return spikes * weight


def _threshold(s: LifSpec) -> float:
    return s.threshold


def _distance(v: Tensor, s: LifSpec) -> Tensor:
    """From the membrane to the nearest value at which what is sent changes."""
    if s.fires == "signed":
        return (v.abs() - _threshold(s)).abs()
    if s.fires != "round":
        return (v - _threshold(s)).abs()
    step = torch.clamp(torch.floor(v / s.threshold), 0, s.most - 1)
    return (v - (step + 0.5) * s.threshold).abs()


def _exact_threshold(s: LifSpec) -> bool:
    """Whether float32 compares with the very number; a quotient is exact for powers of two."""
    if s.fires == "round" and math.frexp(s.threshold)[0] != 0.5:
        return False
    return _single(_threshold(s))


def _single(value: float) -> bool:
    return float(torch.tensor(value, dtype=torch.float32)) == value


# --- the module's own ways ------------------------------------------------------------------


def overridden(module: nn.Module, package: str) -> list[str]:
    """Names of the library's methods that its subclass, or this instance, has its own of."""
    classes = type(module).__mro__
    of = (i for i, c in enumerate(classes) if c.__module__.partition(".")[0] == package)
    first = next(of, len(classes))
    names = set(vars(module)).union(*(vars(c) for c in classes[:first]))
    library: set[str] = set()
    for cls in classes[first:]:
        if cls is nn.Module:
            break
        library.update(n for n, v in vars(cls).items() if isinstance(v, Callable | staticmethod))  # type: ignore[arg-type]
    return sorted(n for n in names & (library | {"forward"}) if not n.startswith("__"))


def _package(module: nn.Module) -> str:
    of = (c.__module__.partition(".")[0] for c in type(module).__mro__)
    return next((p for p in of if p in READERS), "")


def _no_hooks_inside(module: nn.Module, path: str) -> None:
    for name, part in module.named_modules():
        if name and (part._forward_hooks or part._forward_pre_hooks):
            raise UnsupportedError(
                "SFX-E190",
                f"a hook on {name}, a part of a neuron, would not run: the neuron is one op",
                where=path,
                hint="put the hook on the neuron module itself, or what it does into forward()",
            )


@contextmanager
def _no_global_hooks() -> Iterator[None]:
    """Hooks on every module there is are not meant for a probe."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    held = [getattr(nn.modules.module, name) for name in names]
    before = [dict(h) for h in held]
    for hooks in held:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, content in zip(held, before, strict=True):
            hooks.update(content)
