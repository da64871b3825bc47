"""snnTorch's neurons: Leaky, Lapicque, Synaptic, RLeaky, RSynaptic (snntorch 1.0).

They compute one step, `spk, mem = lif(cur, mem)` or, with init_hidden=True, `spk = lif(cur)`:

    syn <- alpha * syn + x + recurrent(spk)      Synaptic, RSynaptic; else syn is x + recurrent(spk)
    mem <- beta * mem + syn
    mem <- (1 - time_step / (R C)) * mem + x * time_step / C          Lapicque, without syn
    spike when mem > threshold (strict)

alpha and beta are clamped to [0, 1]. The reset (`reset_mechanism`, with `reset_delay`):

    subtract, delayed (the default)  mem <- ... - spk * threshold with the next step, after the
                                     decay: exactly a subtraction of threshold / beta at once
    zero, delayed                    Leaky: mem starts the next step from 0, as in a hard reset.
                                     The others lose the next step's input as well: refused
    zero, not delayed                a hard reset
    subtract, not delayed            not a soft reset where mem exceeds two thresholds: refused
    none                             mem is never reset: it is read out, and spk may not be used

The library is not imported: constants are attributes of the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import UnsupportedError
from .libraries import library_class
from .opaque import Method, Opaque, Run
from .spec import LifSpec
from .step_op import Recurrent

STATES = {"Leaky": ("mem",), "Lapicque": ("mem",), "Synaptic": ("syn", "mem"),
          "RLeaky": ("spk", "mem"), "RSynaptic": ("spk", "syn", "mem")}  # fmt: skip
"""Neurons that are mapped, with the states that they take. `spk` is the neuron's own output."""
INSTEAD = {
    "Alpha": "it subtracts an inhibitory current from an excitatory one and scales by their time "
    "constants: use Synaptic, which has one current",
    "SLSTM": "an LSTM's gates are sigmoids of real values: use RSynaptic, or RLeaky",
    "SConv2dLSTM": "an LSTM's gates are sigmoids of real values: use a convolution and RLeaky with "
    "conv2d_channels",
    "LeakyParallel": "it is a torch.nn.RNN without a reset: use Leaky, which resets",
    "LeakyKernel": "use Leaky, which computes the same step by step",
    "StateLeaky": "it has no reset: use Leaky, which resets",
    "LinearLeaky": "it has no reset: use a Linear and Leaky, which resets",
    "AssociativeLeaky": "its state is a matrix of real values: use attention over spikes",
    "DeltaLeaky": "it sends a change, not a spike: use Leaky",
}
"""Neurons that are refused: why, and what to use in their place."""


def read(module: nn.Module, dt: float, path: str) -> LifSpec | None:
    """The constants of a neuron; None for the library's other modules.

    Raises UnsupportedError SFX-E105 for a neuron or a form of one that is not mapped.
    """
    neuron: Any = module
    kind = library_class(neuron, "snntorch")
    spiking = any(c.__name__ == "SpikingNeuron" for c in type(module).__mro__)
    if not spiking and kind not in INSTEAD:
        return None
    if kind not in STATES:
        others = f"use one of: {', '.join(STATES)}"
        raise _refused(path, f"the neuron {type(module).__name__} is not mapped",
                       INSTEAD.get(kind, others))  # fmt: skip
    _check_form(neuron, path)
    if kind == "Lapicque":
        return _lapicque(neuron, path)
    beta = min(max(_number(neuron.beta, "beta", path), 0.0), 1.0)
    threshold = _number(neuron.threshold, "threshold", path)
    alpha = 0.0
    if "syn" in STATES[kind]:
        alpha = min(max(_number(neuron.alpha, "alpha", path), 0.0), 1.0)
        if alpha == 1 or beta == 1:
            raise _refused(path, f"{kind} with alpha {alpha:g} and beta {beta:g}: neither may be 1",
                           "use Leaky(beta=1) for an integrator, or values below 1")  # fmt: skip
    if neuron.reset_mechanism == "none":
        return _membrane(kind, 1.0 - alpha, beta, path)
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


def _membrane(kind: str, syn: float, beta: float, path: str) -> LifSpec:
    """A membrane without a reset: mem is read out."""
    if "spk" in STATES[kind]:
        raise _refused(path, f"{kind} with reset_mechanism='none': its spikes feed back without a "
                       "reset", "use reset_mechanism='subtract' or 'zero'")  # fmt: skip
    decay = 1.0 - beta
    return LifSpec(
        decay, 1.0, 1.0 / decay if decay else 1.0, syn=syn, w_in=1.0 / syn, fires="never"
    )


def _lapicque(neuron: Any, path: str) -> LifSpec:
    """A resistor and a capacitor: as Leaky, with a factor on its input."""
    names = ("R", "C", "time_step")
    r, c, step = (_number(getattr(neuron, n), n, path) for n in names)
    keep = float(1 - torch.tensor(step) / (torch.tensor(r) * torch.tensor(c)))
    factor = float(torch.tensor(r) * (1 / (torch.tensor(r) * torch.tensor(c))) * step)
    if not 0 < keep < 1 or not factor > 0:
        raise _refused(path, f"Lapicque that keeps {keep:g} of its membrane and adds {factor:g} "
                       "of its input", "choose them so that 0 < time_step < R C")  # fmt: skip
    decay = 1.0 - keep
    if neuron.reset_mechanism == "none":
        return LifSpec(decay, 1.0, factor / decay, fires="never")
    threshold = _number(neuron.threshold, "threshold", path)
    subtract = _subtracts(neuron, "Lapicque", keep, path)
    drop = threshold / keep if subtract else 0.0
    return LifSpec(decay, threshold, factor / decay, subtract=subtract, drop=drop)


def opaque(module: nn.Module, spec: LifSpec) -> Opaque:
    """What computes in the neuron's place during a trace."""
    return _WithStates(module, spec)


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
    mechanism, delayed = neuron.reset_mechanism, getattr(neuron, "reset_delay", True)
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


class _Here(list[nn.Module]):
    """The neurons of the traced model, in the place of all that were ever made."""


class _WithStates(Opaque):
    """Called as the neuron is, with or without states; it keeps the last ones, as they do."""

    def __init__(self, module: nn.Module, spec: LifSpec) -> None:
        self.names = STATES[_kind(module) or ""]
        super().__init__(module, spec, [0.0] * len(self.names), _recurrent(module))
        self.none = torch.zeros(0)

    def methods(self) -> dict[str, Method]:
        """forward: the library computes nowhere else."""
        return {"forward": self._forward}

    def runs(self) -> dict[str, Run]:
        """A loop that hands on the states where the neuron returns them all."""
        forward, names = self.module.forward, self.names

        def steps(x: Tensor) -> Tensor:
            self.module.reset_mem()
            given: tuple[Tensor, ...] = ()
            spikes = []
            for step in x:
                made = forward(step, *given)
                made = made if isinstance(made, tuple) else (made,)
                states = made if self._recurs() else made[1:]
                whole = len(states) == len(names) and not self.module.init_hidden
                given = tuple(states) if whole else ()
                membrane = made[-1] if len(made) > 1 else self.module.mem
                spikes.append(membrane if self._settles() else made[0])
            return torch.stack(spikes)

        return {"forward": steps}

    @contextmanager
    def covering(self) -> Iterator[None]:
        """States are attributes here, no buffers; reset_hidden() reaches this model's only."""
        for name in self.names:
            self.module._buffers.pop(name, None)
        self.module.__dict__.pop("reset", None)
        owner: Any = next(c for c in type(self.module).__mro__ if "instances" in vars(c))
        before = owner.instances
        owner.instances = _Here([*(before if isinstance(before, _Here) else ()), self.module])
        try:
            with super().covering():
                yield
        finally:
            owner.instances = before

    def constants(self) -> list[Tensor]:
        """What may have one number per neuron."""
        named = (getattr(self.module, name, None) for name in ("beta", "alpha", "threshold", "V"))
        return [value for value in named if isinstance(value, Tensor)]

    def reset(self) -> None:
        """As after the library's reset_mem() of a neuron that never ran."""
        for name in self.names:
            self.module.__dict__[name] = self.none

    def _recurs(self) -> bool:
        return "spk" in self.names

    def _settles(self) -> bool:
        """Whether it never fires: its membrane is what the model reads."""
        return self.spec.fires == "never"

    def _forward(self, input_: Tensor, *states: Any, **named: Any) -> Any:
        neuron = self.module
        for name, value in (*zip(self.names, states, strict=False), *named.items()):
            if value is not None:
                neuron.__dict__[name] = value
        held = [getattr(neuron, name) for name in self.names]
        held = [v if v.shape == input_.shape else torch.zeros_like(input_) for v in held]
        spikes, *after = self.step(input_, held)
        if self._recurs():
            after[0] = spikes
        if self._settles():  # spk is of no use: a state, which nothing can be computed with
            spikes, after[-1] = after[-1], spikes
        neuron.__dict__.update(zip(self.names, after, strict=True))
        if neuron.init_hidden and not neuron.output:
            return spikes
        return tuple(after) if self._recurs() else (spikes, *after)


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
