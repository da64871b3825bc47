"""A neuron module is run beside what was read from it: overridden methods, surrogates, starts.

The right value is the module's own: what it sends in torch, where it compiles.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
norse = pytest.importorskip("norse.torch", reason="Norse is not installed")
from spikingjelly.activation_based import neuron, surrogate  # noqa: E402
from tests.unit.frontends.frameworks import lively, same_output  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from tests.unit.frontends.written import Written  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons import registry  # noqa: E402
from sfx.frontends.neurons.ge_lif import GreaterEqualLIF, ge_lif  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep, lif  # noqa: E402
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

T = 8


class Net(nn.Module):
    """Linear, neuron, linear; sums stay on a grid of 1/8."""

    def __init__(self, lif: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.lif = lif
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        if isinstance(self.lif, neuron.BaseNode | Written | MultiStep):
            return self.head(self.lif(y)).mean(0)
        state, spikes = None, []
        for step in y:
            z, state = self.lif(step, state)
            spikes.append(z)
        return self.head(torch.stack(spikes)).mean(0)


class Gain(neuron.IFNode):
    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        return super().multi_step_forward(2 * x_seq)


class Charge(Written):
    def neuronal_charge(self, x: Tensor) -> None:
        self.v = 0.5 * self.v + 2 * x


class Unused(neuron.LIFNode):
    """In eval mode the library's LIFNode computes all steps without this method."""

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + 100 * x


class Refractory(neuron.IFNode):
    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        spikes: list[Tensor] = []
        for x in x_seq:
            free = 1 - spikes[-1] if spikes else torch.ones_like(x)
            spikes.append(self.single_step_forward(x * free))
        return torch.stack(spikes)


class Analog(Written):
    def single_step_forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "v_float_to_tensor"):  # before 2.0
            self.v_float_to_tensor(x)
        self.neuronal_charge(x)
        y = torch.relu(self.v)
        self.neuronal_reset(self.neuronal_fire())
        return y


class SoftInside(Written):
    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - spike * self.v_threshold


class Fires(Written):
    def neuronal_fire(self) -> Tensor:
        return (self.v >= 0.5 * self.v_threshold).to(self.v)


class Counting(neuron.LIFNode):
    """Only counts its calls: the same neuron."""

    calls = 0

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        self.calls += 1
        return super().multi_step_forward(x_seq)


class Half(snn.Leaky):
    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        return super().forward(0.5 * input_, mem)


class Forgets(snn.Leaky):
    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        spk, mem = super().forward(input_, mem)
        return spk, 0.5 * mem


class Three(snn.Leaky):
    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        spk, mem = super().forward(input_, mem)
        return 3 * spk, mem


class Louder(norse.LIFBoxCell):
    def forward(self, input_tensor: Tensor, state: Any = None) -> Any:
        return super().forward(9 * input_tensor, state)


class Rounded(norse.LIFCell):
    def forward(self, input_tensor: Tensor, state: Any = None) -> Any:
        z, state = super().forward(input_tensor, state)
        return z, state._replace(v=state.v.round())


class Reversed(MultiStep):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flip(0))


class Soft(GreaterEqualLIF):
    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, _ = super().forward(x, state)
        v = x / self.tau if state is None else state + (x - state) / self.tau
        return z, v - z * self.threshold


def replaced() -> nn.Module:
    """A method of one instance."""
    made = neuron.LIFNode(step_mode="m")
    made.multi_step_forward = types.MethodType(lambda self, x: (x >= 1).to(x), made)
    return made


def changed_method() -> nn.Module:
    """Norse's activation of one instance."""
    made = norse.LIFBoxCell()
    made.activation = lambda x, state, p, dt: ((x > 1).to(x), state)
    return made


class Drawn(nn.Module):
    """A surrogate that fires at random above the threshold."""

    def forward(self, x: Tensor) -> Tensor:
        return (x >= 0).to(x) * torch.randint(0, 2, x.shape)


def plif(surrogate: Callable[[Tensor], Tensor], **options: Any) -> nn.Module:
    return neuron.ParametricLIFNode(step_mode="m", surrogate_function=surrogate, **options)


OTHER: dict[str, Callable[[], nn.Module]] = {
    "SpikingJelly, all steps": lambda: Gain(step_mode="m"),
    "SpikingJelly, charge": lambda: Charge(step_mode="m"),
    "SpikingJelly, refractory": lambda: Refractory(step_mode="m"),
    "SpikingJelly, analog": lambda: Analog(step_mode="m"),
    "SpikingJelly, one step": Analog,
    "SpikingJelly, reset": lambda: SoftInside(step_mode="m"),
    "SpikingJelly, fire": lambda: Fires(step_mode="m"),
    "SpikingJelly, a method of the instance": replaced,
    "snnTorch, input": lambda: Half(beta=0.5),
    "snnTorch, state": lambda: Forgets(beta=0.5),
    "snnTorch, output": lambda: Three(beta=0.5),
    "Norse, input": Louder,
    "Norse, state": Rounded,
    "Norse, activation": changed_method,
    "Norse, a method that Norse itself cannot run": lambda: norse.LIFCell(
        norse.LIFParameters(method="adjoint")
    ),
    "MultiStep": lambda: Reversed(norse.LIFBoxCell()),
    "MultiStep, cell": lambda: MultiStep(Louder()),
    "GreaterEqualLIF": Soft,
    "surrogate of height 3": lambda: plif(lambda x: 3 * (x >= 0).to(x)),
    "surrogate with counts": lambda: plif(lambda x: (x + 1).floor().clamp(0, 4)),
    "surrogate below the threshold": lambda: plif(lambda x: (x >= -0.25).to(x)),
    "smooth surrogate": lambda: plif(torch.sigmoid),
    "random surrogate": lambda: plif(Drawn()),
}


@pytest.mark.parametrize("kind", OTHER)
def test_a_module_that_computes_something_else_is_refused(kind: str) -> None:
    module = OTHER[kind]()
    with pytest.raises(UnsupportedError) as caught:
        registry.opaque(module, 1e-3, "block.lif")
    assert caught.value.code == "SFX-E108"
    assert str(caught.value).startswith(f"SFX-E108 block.lif: {type(module).__name__}.")


def test_the_message_names_the_methods_the_step_and_the_values() -> None:
    with pytest.raises(UnsupportedError) as caught:
        registry.opaque(Refractory(step_mode="m"), 1e-3, "lif")
    text = str(caught.value)
    assert "Refractory.multi_step_forward sends 0 at step 1 of the inputs 1, 1 from rest" in text
    assert "but its constants give 1 (Refractory overrides multi_step_forward)" in text


def strict(x: Tensor) -> Tensor:
    return (x > 0).to(x)


def started(value: float, **options: Any) -> nn.Module:
    made = neuron.LIFNode(tau=2.0, step_mode="m", **options)
    made.set_reset_value("v", value)
    return made


SAME: dict[str, Callable[[], nn.Module]] = {
    "counts its calls": lambda: Counting(step_mode="m"),
    "overrides what is not called": lambda: Unused(step_mode="m"),
    "strict surrogate": lambda: plif(strict, decay_input=False),
    "strict surrogate, decayed input": lambda: plif(strict),
    "strict surrogate, soft reset": lambda: plif(strict, v_reset=None),
    "strict surrogate, reset to -1/2": lambda: plif(strict, v_reset=-0.5),
    "a surrogate that is not asked": lambda: neuron.IFNode(
        step_mode="m", surrogate_function=strict
    ),
    "starts at 1/2": lambda: started(0.5),
    "starts at 1/2, reset to 1/4": lambda: started(0.5, v_reset=0.25),
    "starts at -1, soft": lambda: started(-1.0, v_reset=None),
    "all membranes kept": lambda: neuron.LIFNode(step_mode="m", store_v_seq=True),
    "detached reset": lambda: plif(strict, detach_reset=True),
    "snnTorch": lambda: snn.Leaky(beta=torch.full((8,), 0.5), threshold=torch.ones(8)),
    "Norse": lambda: norse.LIFBoxCell(
        norse.LIFBoxParameters(tau_mem_inv=torch.full((8,), 500.0), v_th=torch.full((8,), 0.5))
    ),
    "ours": lambda: ge_lif(2.0, 0.5),
    "ours, strict": lambda: lif(2.0, 0.5),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_module_that_computes_what_its_constants_say_has_torchs_output(kind: str) -> None:
    same_output(lively(Net(SAME[kind]())), events(T, 5, 6, seed=1).float())


def test_a_tie_decides_between_strict_and_not() -> None:
    inclusive = registry.read(plif(lambda x: (x >= 0).to(x)), 1e-3, "")
    exclusive = registry.read(plif(strict), 1e-3, "")
    assert inclusive is not None
    assert exclusive is not None
    assert inclusive != exclusive


def test_a_method_of_the_other_step_mode_is_refused_only_where_it_is_called() -> None:
    class Own(neuron.IFNode):
        def single_step_forward(self, x: Tensor) -> Tensor:
            return super().single_step_forward(3 * x)

    class Calls(nn.Module):
        def __init__(self, direct: bool) -> None:
            super().__init__()
            self.fc, self.lif, self.direct = nn.Linear(6, 4), Own(step_mode="m"), direct

        def forward(self, x: Tensor) -> Tensor:
            if self.direct:
                return torch.stack([self.lif.single_step_forward(self.fc(step)) for step in x])
            return self.lif(self.fc(x))

    x = events(T, 5, 6, seed=1).float()
    same_output(lively(Calls(False)), x)
    with pytest.raises(UnsupportedError, match="SFX-E108"):
        same_output(lively(Calls(True)), x)


def test_a_neuron_with_a_hook_inside_is_refused() -> None:
    made = neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan())
    made.surrogate_function.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(UnsupportedError, match="SFX-E190 lif: a hook on surrogate_function"):
        registry.opaque(made, 1e-3, "lif")
    cell = lif()
    cell.cell.register_forward_pre_hook(lambda module, args: (2 * args[0], *args[1:]))
    with pytest.raises(UnsupportedError, match="SFX-E190 lif: a hook on cell"):
        registry.opaque(cell, 1e-3, "lif")
