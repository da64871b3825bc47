"""SpikingJelly's neurons: LIFNode, ParametricLIFNode, IFNode (activation_based), in both modes.

With v starting at v_reset (neuron.BaseNode, 0.0.0.0.14):

    v <- v + (x - (v - v_reset)) / tau          LIFNode, decay_input=True
    v <- v - (v - v_reset) / tau + x            LIFNode, decay_input=False
    v <- v + x                                  IFNode
    1/tau = sigmoid(w)                          ParametricLIFNode
    spike when v >= v_threshold;  v <- v_reset, or v - v_threshold if v_reset is None

The potentials are shifted, w = v - v_reset, so that they start, decay and reset to 0. The library
is not imported: constants are attributes of the module.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from sfx.frontends.neurons.registry import LifSpec, library_class
from sfx.frontends.tracing.lif_op import OpaqueLif
from sfx.frontends.tracing.step_op import OpaqueStep
from sfx.toolchain.errors import UnsupportedError

NEURONS = ("LIFNode", "ParametricLIFNode", "IFNode")


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a neuron; None for the library's layers and containers.

    Raises UnsupportedError SFX-E105 for another neuron, and for another layer that keeps a state.
    """
    names = [c.__name__ for c in type(module).__mro__ if "spikingjelly" in c.__module__]
    if "MemoryModule" in names and "BaseNode" not in names and "Dropout" not in names:
        raise UnsupportedError(
            "SFX-E105",
            f"the layer {type(module).__name__} keeps a state and is not mapped",
            where=path,
            hint="only neurons may couple the time steps",
        )
    if "BaseNode" not in names:
        return None
    kind = library_class(module, "spikingjelly")
    if kind not in NEURONS:
        raise UnsupportedError(
            "SFX-E105",
            f"the neuron {type(module).__name__} is not mapped",
            where=path,
            hint=f"use one of: {', '.join(NEURONS)}",
        )
    if not getattr(module.surrogate_function, "spiking", True):
        raise UnsupportedError(
            "SFX-E105",
            f"{kind} with an analog output (spiking=False in its surrogate function)",
            where=path,
            hint="use a surrogate function with spiking=True",
        )
    return _spec(module, kind)


def stand_in(module: nn.Module, spec: LifSpec) -> nn.Module:
    """What takes the neuron's place during a trace: one step in mode 's', all steps in mode 'm'."""
    return OpaqueLif(spec) if getattr(module, "step_mode", "s") == "m" else _Hidden(spec, [])


class _Hidden(OpaqueStep):
    """`spikes = neuron(x)`: the state stays in the neuron."""

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of one step."""
        return self.step(x, None)[0]


def _spec(module: nn.Module, kind: str) -> LifSpec:
    rest = module.v_reset
    shift = 0.0 if rest is None else float(rest)
    threshold = math.nextafter(_number(module.v_threshold) - shift, -math.inf)
    if kind == "IFNode":
        return LifSpec(0.0, threshold, subtract=rest is None)
    weight = module.w if kind == "ParametricLIFNode" else None
    decay = float(weight.detach().sigmoid()) if isinstance(weight, Tensor) else 1 / _tau(module)
    # without decay_input, x is added whole: decay * gain = 1
    gain = 1.0 if module.decay_input else 1 / decay
    return LifSpec(decay, threshold, gain, subtract=rest is None)


def _tau(module: nn.Module) -> float:
    return _number(module.tau)


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # attributes of nn.Module are Tensor | Module
