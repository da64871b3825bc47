"""SpikingJelly's neurons: LIFNode, ParametricLIFNode, IFNode, in both modes.

Those of `activation_based` (since 0.0.0.0.13) have a step mode; those of `clock_driven`, which most
published code imports (up to 0.0.0.0.14), have a class for each: LIFNode and MultiStepLIFNode.
With v starting at v_reset (neuron.BaseNode, 0.0.0.0.12, 0.0.0.0.14 and 2.0.0):

    v <- v + (x - (v - v_reset)) / tau          LIFNode, decay_input=True
    v <- v - (v - v_reset) / tau + x            LIFNode, decay_input=False
    v <- v + x                                  IFNode
    1/tau = sigmoid(w)                          ParametricLIFNode
    v <- v - v / tau + x                        ILIFNode (2.0), which sends
                                                n = round(clamp(v / v_threshold, 0, D))
                                                and then has v <- v - n v_threshold
    v as of LIFNode or IFNode                   TernaryLIFNode, TernaryIFNode (2.0), which also
                                                send -1 when v <= -v_threshold, and are reset
    h = W x + b over all steps          PSN, MaskedPSN, SlidingPSN (2.0): spike when h >= 0
    spike when v >= v_threshold;  v <- v_reset, or v - v_threshold if v_reset is None

v and v_threshold are compared as float32 numbers (v - v_threshold >= 0 is the same comparison). The
library is not imported: constants are attributes of the module.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from . import parallel
from .libraries import as_single, library_class
from .opaque import Method, Opaque, Run
from .spec import LifSpec, MapSpec
from .stateless import rounding
from .untouched import untouched

EQUATIONS = {
    "LIFNode": "LIF",
    "ParametricLIFNode": "PLIF",
    "IFNode": "IF",
    "SimpleLIFNode": "LIF",
    "SimpleIFNode": "IF",
    "HalfThresholdIFNode": "IF",
    "ILIFNode": "ILIF",
    "TernaryIFNode": "IF",
    "TernaryLIFNode": "LIF",
    "MultiStepLIFNode": "LIF",
    "MultiStepParametricLIFNode": "PLIF",
    "MultiStepIFNode": "IF",
}
"""Class -> which of the equations above; the last three are of `clock_driven`, over all steps."""
TERNARY = ("TernaryIFNode", "TernaryLIFNode")
SPIKES = "its output is no spike: use LIFNode"
TRAINED_ONLY = "it differs from LIFNode in training alone: deploy a LIFNode with the same constants"
PARALLEL = ("PSN", "MaskedPSN", "SlidingPSN")
"""Neurons of 2.0 without a membrane: a map of the steps (`parallel`)."""
NEURONS = (*EQUATIONS, *PARALLEL)
READ_OUT = (
    "leave it out and take the mean or sum over T of the layer before it: the read-out adds up "
    "without a membrane"
)
INSTEAD = {
    "LIAFNode": SPIKES,
    "KLIFNode": "use ParametricLIFNode: its output is a step of the membrane, not of k times it",
    "CUBALIFNode": "use snnTorch's Synaptic, which has a current and a membrane",
    "OTTTLIFNode": TRAINED_ONLY,
    "SLTTLIFNode": TRAINED_ONLY,
    "NonSpikingIFNode": READ_OUT,
    "NonSpikingLIFNode": READ_OUT,
}
"""Neurons that are refused, with what to use; others have a dynamics of their own."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a neuron; None for the library's layers and containers.

    Raises UnsupportedError SFX-E105 for another neuron, and for another layer that keeps a state.
    """
    kind = library_class(module, "spikingjelly")
    if kind not in NEURONS:
        _refuse_neurons(module, kind, path)
        return None
    if not getattr(module.surrogate_function, "spiking", True):
        raise UnsupportedError(
            "SFX-E105",
            f"{kind} with an analog output (spiking=False in its surrogate function)",
            where=path,
            hint="use a surrogate function with spiking=True",
        )
    if kind in PARALLEL:
        return parallel.spec(module, kind, path)
    if kind == "ILIFNode":
        return _started(_integer(module, path), module, path)
    spec = _started(_spec(module, EQUATIONS[kind]), module, path)
    if kind in TERNARY:
        return _ternary(spec, path)
    return _strict(spec) if _misses_a_tie(module) else spec


def _ternary(spec: LifSpec, path: str) -> LifSpec:
    """As read, with a threshold on either side."""
    if spec.reset or spec.start:
        at = spec.reset or spec.start
        raise UnsupportedError(
            "SFX-E105",
            f"a ternary neuron that rests at {at:g}, from which its thresholds are not equally far",
            where=path,
            hint="use v_reset=0. or None",
        )
    return replace(spec, fires="signed")


def _refuse_neurons(module: nn.Module, kind: str, path: str) -> None:
    """Raise for a neuron that is not mapped, and for a layer that keeps a state."""
    classes = [c for c in type(module).__mro__ if c.__module__.startswith("spikingjelly.")]
    names = {c.__name__ for c in classes}
    of_neurons = any("neuron" in c.__module__.split(".")[1:] for c in classes)
    if of_neurons:
        others = [n for n in NEURONS if not n.startswith(("Simple", "Half", "MultiStep"))]
        raise UnsupportedError(
            "SFX-E105",
            f"the neuron {type(module).__name__} is not mapped",
            where=path,
            hint=INSTEAD.get(kind, f"use one of: {', '.join(others)}"),
        )
    if "MemoryModule" in names and "Dropout" not in names:
        raise UnsupportedError(
            "SFX-E105",
            f"the layer {type(module).__name__} keeps a state and is not mapped",
            where=path,
            hint="only neurons may couple the time steps",
        )


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    if isinstance(spec, MapSpec):
        return parallel.Parallel(module, spec)
    return _InMemory(module, spec) if hasattr(module, "step_mode") else _ClockDriven(module, spec)


class _InMemory(Opaque):
    """`spikes = neuron(x)`, one step in mode 's', all steps in mode 'm'; v stays in the module."""

    def __init__(self, module: nn.Module, spec: LifSpec) -> None:
        neuron: Any = module
        super().__init__(module, spec, [neuron._memories_rv["v"]])

    def methods(self) -> dict[str, Method]:
        """The two that every forward of the library comes to; forward itself is traced."""
        return {"single_step_forward": self._single, "multi_step_forward": self._multi}

    def runs(self) -> dict[str, Run]:
        """The one of the step mode first."""
        single, multi = self.module.single_step_forward, self.module.multi_step_forward

        def steps(x: Tensor) -> Tensor:
            self.module.reset()
            return torch.stack([single(step) for step in x])

        def at_once(x: Tensor) -> Tensor:
            self.module.reset()
            return cast(Tensor, multi(x))

        found: dict[str, Run] = {"single_step_forward": steps, "multi_step_forward": at_once}
        return found if self.module.step_mode == "s" else dict(reversed(found.items()))

    def reset(self) -> None:
        """As the library does it."""
        self.module.reset()

    def _single(self, x: Tensor) -> Tensor:
        spikes, self.module.v = self.step(x, [self._v(x)])
        return spikes

    def _multi(self, x: Tensor) -> Tensor:
        spikes, self.module.v, every_v = self.over_time(x, [self._v(x[0])])
        if getattr(self.module, "store_v_seq", True):
            self.module.v_seq = every_v
        return spikes

    def _v(self, x: Tensor) -> Tensor:
        """The membrane as it is now: a number after a reset."""
        v = self.module.v
        return v if isinstance(v, Tensor) else torch.full_like(x, v)


class _ClockDriven(_InMemory):
    """The same of `clock_driven`: the class says whether forward() takes one step or all."""

    def methods(self) -> dict[str, Method]:
        """The one there is."""
        return {"forward": self._multi if _takes_all(self.module) else self._single}

    def runs(self) -> dict[str, Run]:
        """The same, step by step where it takes one."""
        forward = self.module.forward

        def steps(x: Tensor) -> Tensor:
            self.module.reset()
            self.module.backend = "torch"  # the others compute the same where they are installed
            return cast(Tensor, forward(x)) if all_at_once else torch.stack([forward(s) for s in x])

        all_at_once = _takes_all(self.module)
        return {"forward": steps}


def _takes_all(module: nn.Module) -> bool:
    """Whether a neuron of `clock_driven` is one that takes all steps at once."""
    return library_class(module, "spikingjelly").startswith("MultiStep")


def _after_reset(module: Any, name: str) -> Any:
    """An attribute as `reset` leaves it; `clock_driven` resets the threshold too."""
    return module._memories_rv.get(name, getattr(module, name))


def _started(spec: LifSpec, module: Any, path: str) -> LifSpec:
    """`spec` with the membrane that `reset` brings (`set_reset_value`), v_reset if not set."""
    start = module._memories_rv["v"]
    if not isinstance(start, int | float):
        raise UnsupportedError(
            "SFX-E105",
            f"starts at a {type(start).__name__} (set_reset_value)",
            where=path,
            hint="the neurons of one module must share one number as their start",
        )
    return replace(spec, start=as_single(float(start)))


def _strict(spec: LifSpec) -> LifSpec:
    return replace(spec, reached=False)


def _misses_a_tie(module: Any) -> bool:
    """Whether a membrane that just meets the threshold does not fire.

    Where a class asks its surrogate function, that is the function's affair. With v = threshold
    and x = threshold - v_reset every kind of charge leaves v there, but for a v_reset that rounds;
    IFNode and decay_input=False add x to a v at rest.
    """
    reset = _after_reset(module, "v_reset")
    rest = 0.0 if reset is None else float(reset)
    threshold = _number(_after_reset(module, "v_threshold"))
    x = torch.full((1, 1, 1), threshold - rest)
    keeps = getattr(module, "decay_input", False)
    with untouched(module.modules(), values=True), torch.no_grad():
        module.eval()
        module.reset()
        module.v = torch.full((1, 1), threshold if keeps else rest)
        try:
            made = _run(module, x)
        except Exception:  # the probe that follows says what is wrong
            return False
    return isinstance(made, Tensor) and bool((made == 0).all())


def _run(module: Any, x: Tensor) -> Any:
    """What the module makes of one step [1, ...], by the method that forward() comes to."""
    if hasattr(module, "step_mode"):
        all_at_once = module.step_mode == "m"
        return module.multi_step_forward(x) if all_at_once else module.single_step_forward(x[0])
    module.backend = "torch"
    return module.forward(x if _takes_all(module) else x[0])


def _spec(module: nn.Module, kind: str) -> LifSpec:
    rest = _after_reset(module, "v_reset")
    v = 0.0 if rest is None else as_single(float(rest))
    threshold = as_single(_number(_after_reset(module, "v_threshold")))
    if kind == "IF":
        return LifSpec(0.0, threshold, reset=v, subtract=rest is None, start=v, reached=True)
    weight = module.w if kind == "PLIF" else None
    decay = float(weight.detach().sigmoid()) if isinstance(weight, Tensor) else 1 / _tau(module)
    # without decay_input, x is added whole: decay * gain = 1
    gain = 1.0 if module.decay_input else 1 / decay
    soft = rest is None
    return LifSpec(decay, threshold, gain, v, v, soft, start=v, reached=True)


def _integer(module: nn.Module, path: str) -> LifSpec:
    """I-LIF: its surrogate function, round(clamp(., 0, D)), holds D."""
    most = int(_number(getattr(module.surrogate_function, "max_spike_count", 0)))
    return rounding(1 / _tau(module), as_single(_number(module.v_threshold)), most, path)


def _tau(module: nn.Module) -> float:
    return _number(module.tau)


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # attributes of nn.Module are Tensor | Module
