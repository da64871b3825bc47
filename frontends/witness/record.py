"""What the user's own modules do on a sample: every call of every neuron, in forward()'s order.

Recording takes place in the very methods that were one op in the trace, inside the user's hooks. So
what is recorded is what the neuron received and fired. A hook that the export lost shows in what
the neuron, or the next one, receives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree

from ...toolchain.ground.errors import InputError
from ...toolchain.ir.graph import Graph, Slot
from ..neurons.bare import parts_bare
from ..neurons.untouched import untouched
from ..tracing.calls import Exported, NeuronCalls
from ..tracing.dims import GROUPS, TIMES, WITHIN, Dims
from ..tracing.lock import LOCK

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Recorded:
    """One neuron of the graph in torch: what it received and what it sent, [T, *shape].

    current  None where the module does not receive it in this form
    """

    current: Array | None
    sent: Array


@dataclass(frozen=True, eq=False)
class Recording:
    """Torch's side of one sample.

    x        the sample, [T, *input shape]
    neurons  node -> what its module received and sent
    output   [T, *shape], or [*shape] where the model reduced the steps; None if not a tensor
    missing  node -> why nothing is known of it
    unit     unit roundoff of torch's numbers
    rests    node -> the potential that its module counts from, where it is not 0
    """

    x: Array
    neurons: dict[str, Recorded]
    output: Array | None
    missing: dict[str, str]
    unit: float
    rests: dict[str, float]

    def without_currents(self) -> Recording:
        """Spikes only: a byte or two for each neuron and step."""
        neurons = {
            n: Recorded(None, h.sent.astype(np.int16 if (h.sent < 0).any() else np.uint8))
            for n, h in self.neurons.items()
        }
        return replace(self, neurons=neurons)

    def in_slots(self, slots: Mapping[str, tuple[str, int]]) -> Recording:
        """Numbers as binary spikes: node -> (integer neuron, number), as of `Slot`."""
        whole = {n for n, _ in slots.values()}
        neurons = {n: held for n, held in self.neurons.items() if n not in whole}
        for name, (of, number) in slots.items():
            if of in self.neurons:
                sent = self.neurons[of].sent
                fired = sent > number if number >= 0 else sent <= number
                neurons[name] = Recorded(None, fired.astype(np.uint8))
        return replace(self, neurons=neurons)

    def with_parts(self, graph: Graph) -> Recording:
        """With the spikes of the neurons that a pass made of parts of these."""
        neurons, rests = dict(self.neurons), dict(self.rests)
        for node in graph:
            whole = None if node.part is None else self.neurons.get(node.part.whole)
            if node.part is None or whole is None:
                continue
            name = node.op.of if isinstance(node.op, Slot) else node.name
            neurons[name] = Recorded(None, node.part.of(whole.sent, lead=1))
            rests[name] = self.rests.get(node.part.whole, 0.0)
        return replace(self, neurons=neurons, rests=rests)

    @property
    def fired(self) -> frozenset[str]:
        """Nodes that sent something."""
        return frozenset(n for n, h in self.neurons.items() if h.sent.any())


NUMPY = (torch.float32, torch.float64)
"""Precisions that are kept; others, and whole numbers, become float32."""
Call = tuple[Tensor | None, Tensor | None]
"""(what a module received, what it returned), first tensors only."""


def record(exported: Exported, x: Array) -> Recording:
    """Run the model on one sample x [T, *input shape], at rest, in eval mode; it is left as it was.

    Raises InputError SFX-E184 if it cannot be run.
    """
    calls: dict[nn.Module, list[Call]] = {n.module: [] for n in exported.neurons}
    model = exported.model
    with (
        LOCK,
        parts_bare(model),
        untouched(model.modules(), values=True),
        _full_precision(),
        torch.no_grad(),
    ):
        model.eval()
        reset(model)
        with _listening(exported.neurons, calls):
            output = _forward(exported, x)
    neurons: dict[str, Recorded] = {}
    missing: dict[str, str] = {}
    for neuron in exported.neurons:
        found = _recorded_of(neuron, calls[neuron.module], len(x))
        if isinstance(found, str):
            missing[neuron.node] = found
        else:
            neurons[neuron.node] = found
    result = None if output is None else by_step(output, exported.output, len(x))
    if result is not None and not exported.output.timed:
        result = result[0]
    unit = float(torch.finfo(exported.dtype).eps) / 2
    rests = {n.node: rest_of(n.module) for n in exported.neurons}
    return Recording(x, neurons, result, missing, unit, rests)


POTENTIALS = ("v_reset", "v_leak")


def rest_of(module: nn.Module) -> float:
    """The potential a framework's neuron counts from: the largest of its reset and leak values."""
    cell = getattr(module, "cell", None)
    found = 0.0
    for holder in (module, getattr(module, "p", None), cell, getattr(cell, "p", None)):
        for name in POTENTIALS:
            value = getattr(holder, name, None)
            if value is not None:
                found = max(found, float(torch.as_tensor(value).detach().abs().max()))
    return found


def _forward(exported: Exported, x: Array) -> Tensor | None:
    """The deployed output of one forward, or of one loop over the steps."""
    try:
        return _returned(exported, _run(exported, x))
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            "SFX-E184",
            f"the model does not run on one sample ({type(error).__name__}: {error})",
            where=type(exported.model).__name__,
            hint="the check runs forward() with a batch of one; --no-check (check=False) leaves "
            "it out, on record",
        ) from error


def _run(exported: Exported, x: Array) -> Any:
    model = exported.model
    first = next((t for t in (*model.parameters(), *model.buffers())), torch.zeros(()))
    steps = torch.from_numpy(np.array(x)).to(first.device, exported.dtype)
    if exported.input_layout == "B":
        return model(steps[:1])
    if exported.input_layout == "BT":
        return model(steps[None])
    if exported.input_layout == "TB":
        return model(steps[:, None])
    return torch.stack(list(_loop(model, steps)))


def _loop(model: nn.Module, steps: Tensor) -> Iterator[Tensor]:
    """The caller's loop over steps [T, ...]; a state is handed on where forward() takes one."""
    import inspect

    carries = "state" in inspect.signature(model.forward).parameters
    state: Any = None
    for step in steps:
        made = model(step[None], state) if carries else model(step[None])
        if carries:
            made, state = made
        yield made[0] if isinstance(made, tuple | list) else made


def _returned(exported: Exported, made: Any) -> Tensor | None:
    flat = _pytree.tree_flatten(made)[0]
    value = flat[exported.returned] if exported.returned < len(flat) else None
    return value if isinstance(value, Tensor) else None


def reset(model: nn.Module) -> None:
    """Every neuron at rest, by its own library's means."""
    modules = [(m, {c.__name__ for c in type(m).__mro__}) for m in model.modules()]
    if any("MemoryModule" in names for _, names in modules):  # SpikingJelly's reset_net
        for module, _ in modules:
            if callable(getattr(module, "reset", None)):
                module.reset()
    for module, names in modules:
        if "SpikingNeuron" in names and hasattr(module, "reset_mem"):  # snnTorch
            module.reset_mem()


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TF32 on a GPU, whose products keep 11 bits."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@contextmanager
def _listening(
    neurons: Sequence[NeuronCalls], calls: dict[nn.Module, list[Call]]
) -> Iterator[None]:
    """The methods that were one op in the trace note what they receive and return.

    They stand among the attributes of the modules until the model is put back as it was.
    """
    for neuron in {n.module: n for n in neurons}.values():
        busy: list[str] = []  # one method may call another: the outer one is the neuron
        for name in neuron.methods:
            real = getattr(neuron.module, name)
            noted = _noting(real, calls[neuron.module], busy)
            neuron.module.__dict__[name] = noted
    yield


def _noting(real: Callable[..., Any], calls: list[Call], busy: list[str]) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        if busy:
            return real(*args, **kwargs)
        received = _first_tensor((args, list(kwargs.values())))
        busy.append("")
        try:
            made = real(*args, **kwargs)
        finally:
            busy.pop()
        calls.append((received, _first_tensor(made)))
        return made

    return method


def _first_tensor(values: Any) -> Tensor | None:
    """A copy: what follows may write in place."""
    tensors = (v for v in _pytree.tree_flatten(values)[0] if isinstance(v, Tensor))
    found = next(tensors, None)
    return None if found is None else found.detach().clone()


def _recorded_of(neuron: NeuronCalls, made: list[Call], steps: int) -> Recorded | str:
    """The record of one node, or why there is none."""
    if not made:
        return "its module was never called"
    numbers = neuron.of(steps, len(made))
    if numbers is None or max(numbers) >= len(made):
        return f"its module was called {len(made)} times, {neuron.total} in the trace"
    received, sent = zip(*(made[i] for i in numbers), strict=True)
    fired = _joined(sent, neuron.dims, steps)
    if fired is None:
        return "its module returned no tensor of the neurons' shape"
    return Recorded(_joined(received, neuron.dims, steps), _counted(fired, neuron.unit))


def _counted(sent: Array, unit: float) -> Array:
    """Spikes of what a module returns, which divides them (MultiSpike): whole up to rounding."""
    if unit == 1.0:
        return sent
    counts = sent / np.asarray(unit, sent.dtype)
    whole = np.rint(counts)
    return np.where(np.abs(counts - whole) <= 4 * np.finfo(sent.dtype).eps * whole, whole, counts)


def _joined(values: tuple[Tensor | None, ...], dims: Dims, steps: int) -> Array | None:
    parts = [None if v is None else by_step(v, dims, steps) for v in values]
    if any(p is None for p in parts):
        return None
    return np.concatenate([p for p in parts if p is not None])


def by_step(value: Tensor, dims: Dims, steps: int) -> Array | None:
    """`value` of a batch of one as [T, *step shape]; [1, *step shape] where `dims` has no T.

    What each group of steps has once is there at every one of them. None if the tensor's axes are
    not those of `dims`.
    """
    factors = [f for axis in dims.axes for f in axis]
    now = replace(dims, steps=steps)
    lengths = [now.length(f) for f in factors]
    if value.dim() != len(dims.axes) or value.numel() != math.prod(lengths):
        return None
    times = [factors.index(f) for f in TIMES if f in factors]
    whole = value.reshape(lengths).movedim(times, list(range(len(times))))
    whole = whole.reshape(-1, *dims.step_shape).cpu()
    if GROUPS in factors and WITHIN not in factors:
        whole = whole.repeat_interleave(dims.group, dim=0)
    found: Array = (whole if whole.dtype in NUMPY else whole.float()).numpy()
    return found


__all__ = ["Recorded", "Recording", "by_step", "record", "reset"]
