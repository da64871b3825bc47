"""snnTorch's neurons: Leaky, Synaptic, RLeaky, RSynaptic (snntorch 1.0).

They compute one step, `spk, mem = lif(cur, mem)` or, with init_hidden=True, `spk = lif(cur)`:

    syn <- alpha * syn + x + recurrent(spk)      Synaptic, RSynaptic; else syn is x + recurrent(spk)
    mem <- beta * mem + syn
    spike when mem > threshold (strict)

alpha and beta are clamped to [0, 1]. The reset (`reset_mechanism`, with `reset_delay`):

    subtract, delayed (the default)  mem <- ... - spk * threshold with the next step, after the
                                     decay: exactly a subtraction of threshold / beta at once
    zero, delayed                    Leaky: mem starts the next step from 0, as in a hard reset.
                                     The others lose the next step's input as well: refused
    zero, not delayed                a hard reset
    subtract, not delayed            not a soft reset where mem exceeds two thresholds: refused

The library is not imported: constants are attributes of the module.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sfx.frontends.neurons.registry import LifSpec, library_class
from sfx.frontends.tracing.step_op import OpaqueStep, Recurrent
from sfx.toolchain.errors import UnsupportedError

STATES = {"Leaky": ("mem",), "Synaptic": ("syn", "mem"), "RLeaky": ("spk", "mem"),
          "RSynaptic": ("spk", "syn", "mem")}  # fmt: skip
"""Neurons that are mapped, with the states that they take. `spk` is the neuron's own output."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a neuron; None for the library's other modules.

    Raises UnsupportedError SFX-E105 for a neuron or a form of one that is not mapped.
    """
    neuron: Any = module
    if not any(c.__name__ == "SpikingNeuron" for c in type(module).__mro__):
        return None
    kind = _kind(neuron)
    if kind is None:
        raise _refused(path, f"the neuron {type(module).__name__} is not mapped",
                       f"use one of: {', '.join(STATES)}")  # fmt: skip
    _check_form(neuron, path)
    beta = min(max(_number(neuron.beta, "beta", path), 0.0), 1.0)
    threshold = _number(neuron.threshold, "threshold", path)
    alpha = 0.0
    if "syn" in STATES[kind]:
        alpha = min(max(_number(neuron.alpha, "alpha", path), 0.0), 1.0)
        if alpha == 1 or beta == 1:
            raise _refused(path, f"{kind} with alpha {alpha:g} and beta {beta:g}: neither may be 1",
                           "use Leaky(beta=1) for an integrator, or values below 1")  # fmt: skip
    subtract = _subtracts(neuron, kind, beta, path)
    syn = 1.0 - alpha
    return LifSpec(
        decay=1.0 - beta,
        threshold=threshold,
        gain=1.0 if beta == 1 else 1.0 / (1.0 - beta),
        subtract=subtract,
        syn=syn,
        w_in=1.0 / syn,
        drop=threshold / beta if subtract and beta < 1 else 0.0,
    )


def stand_in(module: nn.Module, spec: LifSpec) -> nn.Module:
    """What takes the neuron's place during a trace."""
    return _StandIn(module, spec)


def _kind(neuron: Any) -> str | None:
    own = library_class(neuron, "snntorch")
    return own if own in STATES else None


def _check_form(neuron: Any, path: str) -> None:
    """Refuse what changes the spikes in a way the chip has no form for."""
    if neuron.inhibition:
        raise _refused(path, "inhibition=True (only the largest membrane fires)",
                       "use inhibition=False")  # fmt: skip
    if neuron.state_quant:
        raise _refused(path, "state_quant rounds the membrane",
                       "leave it out: sfx quantizes weights and thresholds itself")  # fmt: skip
    factor = _number(neuron.graded_spikes_factor, "graded_spikes_factor", path)
    if factor != 1:
        raise _refused(path, f"graded_spikes_factor is {factor:g}",
                       "put the factor into the weights of the next layer")  # fmt: skip
    probe = torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0])
    with torch.no_grad():
        fired = neuron.spike_grad(probe)
    if not torch.equal(fired.float(), (probe > 0).float()):
        raise _refused(path, "spike_grad does not compute x > 0 in the forward pass",
                       "use a deterministic surrogate, such as surrogate.atan()")  # fmt: skip


def _subtracts(neuron: Any, kind: str, beta: float, path: str) -> bool:
    """Whether the reset subtracts; refuses the forms that are no reset of the Graph's neurons."""
    mechanism, delayed = neuron.reset_mechanism, neuron.reset_delay
    if mechanism == "none":
        raise _refused(path, "reset_mechanism='none': spikes without a reset",
                       "use 'subtract' or 'zero'")  # fmt: skip
    if mechanism == "zero":
        if delayed and kind != "Leaky":
            raise _refused(path, f"{kind} with reset_mechanism='zero' loses the step after a spike",
                           "use reset_delay=False")  # fmt: skip
        return False
    if not delayed:
        raise _refused(path, "reset_mechanism='subtract' with reset_delay=False tests the "
                       "threshold a second time where the membrane exceeds it twice",
                       "use reset_delay=True (snnTorch's default)")  # fmt: skip
    if beta == 0:
        raise _refused(path, "beta is 0 and the reset subtracts from the next step's input",
                       "use reset_mechanism='zero'")  # fmt: skip
    return True


class _StandIn(OpaqueStep):
    """Called as the neuron is: with or without states, which it returns after the spikes."""

    def __init__(self, module: nn.Module, spec: LifSpec) -> None:
        neuron: Any = module
        states = STATES[_kind(neuron) or ""]
        super().__init__(spec, [0.0] * len(states), _recurrent(neuron))
        self.recurrent = "spk" in states
        self.returns_spikes_only = neuron.init_hidden and not neuron.output

    def forward(self, input_: Tensor, *states: Any, **named: Any) -> Any:
        """Spikes of one step, and with states as the neuron does."""
        given = [*states, *named.values()]
        made = self.step(input_, given if given and given[0] is not None else None)
        if self.recurrent:
            del made[1]
        return made[0] if self.returns_spikes_only else tuple(made)

    def _rest(self) -> Any:
        self.calls = 0
        states = [torch.zeros(0) for _ in self.rests]
        return states[0] if len(states) == 1 else tuple(states)

    def reset_mem(self) -> Any:
        """The states at rest."""
        return self._rest()

    init_leaky = init_synaptic = init_rleaky = init_rsynaptic = reset_hidden = reset_mem

    def detach_hidden(self) -> None:
        """Nothing: a trace has no gradients."""


def _recurrent(neuron: Any) -> Recurrent | None:
    """The recurrent connection: Linear, Conv2d, or V times the neuron's own spike."""
    layer = getattr(neuron, "recurrent", None)
    if layer is None:
        return None
    weight = getattr(layer, "weight", None)
    if isinstance(weight, Tensor):
        return Recurrent(weight.detach(), getattr(layer, "bias", None))
    return Recurrent(torch.as_tensor(neuron.V).detach())


def _number(value: Any, name: str, path: str) -> float:
    tensor = torch.as_tensor(value).detach()
    if tensor.unique().numel() != 1:
        raise _refused(path, f"{name} differs between neurons ({float(tensor.min()):g} to "
                       f"{float(tensor.max()):g})",
                       "the neurons of one module must share each constant")  # fmt: skip
    return float(tensor.flatten()[0])


def _refused(path: str, what: str, hint: str) -> UnsupportedError:
    return UnsupportedError("SFX-E105", what, where=path, hint=hint)
