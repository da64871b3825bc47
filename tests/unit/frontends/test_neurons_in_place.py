"""During the trace a neuron stays the user's module: class, attributes, hooks, shared membranes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
norse = pytest.importorskip("norse.torch", reason="Norse is not installed")
from spikingjelly.activation_based import functional, layer, neuron  # noqa: E402
from tests.unit.frontends.frameworks import lively, same_output  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.modules import module as torch_module  # noqa: E402

from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.ground.errors import SfxError, UnsupportedError  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

T = 8
X = events(T, 5, 6, seed=1).float()


class Net(nn.Module):
    """Modules a, n, b, m and how forward() uses them."""

    def __init__(
        self,
        how: Callable[[Any, Tensor], Tensor],
        make: Callable[[], nn.Module] = lambda: neuron.LIFNode(step_mode="m"),
    ) -> None:
        super().__init__()
        self.a, self.n, self.b, self.m = nn.Linear(6, 8), make(), nn.Linear(8, 8), make()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self, x)


def chain(net: Any, x: Tensor) -> Tensor:
    return net.m(net.b(net.n(net.a(x))))


def net(how: Callable[[Any, Tensor], Tensor] = chain, **options: Any) -> Any:
    return lively(Net(how, **options), seed=3)


# --- hooks ----------------------------------------------------------------------------------


def doubled(module: nn.Module, args: Any, output: Any) -> Any:
    return 2 * output


HOOKS: dict[str, Callable[[nn.Module], object]] = {
    "before": lambda n: n.register_forward_pre_hook(lambda m, args: (2 * args[0],)),
    "before, kwargs": lambda n: n.register_forward_pre_hook(
        lambda m, args, kwargs: ((2 * args[0],), kwargs), with_kwargs=True
    ),
    "after": lambda n: n.register_forward_hook(doubled),
    "after, kwargs": lambda n: n.register_forward_hook(
        lambda m, args, kwargs, output: 2 * output, with_kwargs=True
    ),
    "after, always": lambda n: n.register_forward_hook(doubled, always_call=True),
    "two": lambda n: (n.register_forward_hook(doubled), n.register_forward_hook(doubled)),
    "one that looks only": lambda n: n.register_forward_hook(lambda m, args, output: None),
}


@pytest.mark.parametrize("make", [lambda: neuron.LIFNode(step_mode="m"), lambda: lif(2.0, 0.5)])
@pytest.mark.parametrize("kind", HOOKS)
def test_hooks_on_a_neuron_run(kind: str, make: Callable[[], nn.Module]) -> None:
    plain, hooked = net(make=make), net(make=make)
    HOOKS[kind](hooked.n)
    same_output(hooked, X)
    if "looks" not in kind:
        functional.reset_net(plain)
        functional.reset_net(hooked)
        assert not torch.equal(plain(X), hooked(X)), "the hook changes nothing"


def test_a_hook_on_all_modules_runs_and_is_kept() -> None:
    def gain(module: nn.Module, args: Any, output: Any) -> Any:
        return 2 * output if isinstance(module, neuron.BaseNode) else None

    handle = torch_module.register_module_forward_hook(gain)
    try:
        same_output(net(), X)
        assert list(torch_module._global_forward_hooks.values()) == [gain]
    finally:
        handle.remove()


def test_what_a_hook_recorded_is_what_the_users_own_runs_gave_it() -> None:
    record: list[Tensor] = []
    model = net()
    model.n.register_forward_hook(lambda m, args, output: record.append(output))
    model(X)
    mine = list(record)
    export(model, X[:, :1])
    assert len(record) == 1
    assert record[0] is mine[0]


def test_a_hook_that_needs_numbers_is_named() -> None:
    model = net()
    model.n.register_forward_hook(lambda m, args, output: print(output.numpy()))
    with pytest.raises(SfxError, match=r"SFX-E102 .*(?s:.*)remove the hook of n before the export"):
        export(model, X[:, :1])


# --- class and attributes -------------------------------------------------------------------


def gains(net: Any, x: Tensor) -> Tensor:
    for part in (net.a, net.n, net.b, net.m):
        x = part(x) if isinstance(part, neuron.BaseNode) else 2 * part(x)
    return x


def sequence(net: Any, x: Tensor) -> Tensor:
    for part in (net.a, net.n, net.b, net.m):
        spiking = isinstance(part, neuron.BaseNode)
        x = part(x) if spiking else functional.seq_to_ann_forward(x, part)
    return x


def by_type(net: Any, x: Tensor) -> Tensor:
    for part in (net.a, net.n, net.b, net.m):
        x = part(x) if type(part) is neuron.LIFNode else 2 * part(x)
    return x


def by_children(net: Any, x: Tensor) -> Tensor:
    for part in net.children():
        x = part(x) if type(part) is neuron.LIFNode else 2 * part(x)
    return x


def constants(net: Any, x: Tensor) -> Tensor:
    x = net.n(net.a(x) * net.n.v_threshold / net.n.tau)
    return net.m(net.b(x) * (2.0 if net.m.step_mode == "m" else 0.0))


@pytest.mark.parametrize("how", [gains, sequence, by_type, by_children, constants])
def test_forward_may_ask_what_a_neuron_is(how: Callable[[Any, Tensor], Tensor]) -> None:
    same_output(net(how), X)


def test_a_learned_constant_read_in_forward() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 8)
            self.lif = snn.Leaky(beta=0.5, learn_beta=True, learn_threshold=True, threshold=2.0)

        def forward(self, x: Tensor) -> Tensor:
            mem = self.lif.reset_mem()
            spikes = []
            for step in x:
                spk, mem = self.lif((1 - self.lif.beta) * self.fc(step), mem)
                spikes.append(spk * self.lif.threshold)
            return torch.stack(spikes)

    same_output(lively(Scaled()), X)


def test_containers_whose_step_mode_is_set_later() -> None:
    model = lively(nn.Sequential(layer.Linear(6, 8), neuron.IFNode(), layer.Linear(8, 4),
                                 neuron.LIFNode(v_reset=None)))  # fmt: skip
    functional.set_step_mode(model, "m")
    same_output(model, X)


# --- one neuron, several calls --------------------------------------------------------------


def twice(net: Any, x: Tensor) -> Tensor:
    return net.n(net.b(net.n(net.a(x))))


def side_by_side(net: Any, x: Tensor) -> Tensor:
    return net.n(net.a(x)) + net.n(0.5 * net.a(x))


def burn_in(net: Any, x: Tensor) -> Tensor:
    net.n(net.a(x))
    return net.n(net.a(x))


def reset_between(net: Any, x: Tensor) -> Tensor:
    x = net.n(net.a(x))
    functional.reset_net(net)
    return net.n(net.b(x))


def stepped(net: Any, x: Tensor) -> Tensor:
    return torch.stack([net.n(net.b(net.n(net.a(step)))) for step in x])


@pytest.mark.parametrize("how", [twice, side_by_side, burn_in])
def test_a_membrane_that_goes_on_in_a_second_call_is_refused(how: Any) -> None:
    with pytest.raises(UnsupportedError, match="starts from the membrane") as caught:
        export(net(how), X[:, :1])
    assert caught.value.code == "SFX-E109"


def test_a_neuron_that_serves_two_layers_in_one_step_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"SFX-E109 n .*another layer at step 0"):
        export(net(stepped, make=neuron.LIFNode), X[:, :1])


def test_a_neuron_that_is_reset_between_two_calls() -> None:
    graph = same_output(net(reset_between), X)
    assert len(graph.of_type(g.LIF)) == 2


@pytest.mark.parametrize("how", [twice, side_by_side])
def test_a_multi_step_starts_anew_with_every_call(how: Any) -> None:
    graph = same_output(net(how, make=lambda: lif(2.0, 0.5)), X)
    assert len(graph.of_type(g.LIF)) == 2


def norse_twice(hand_on: bool) -> nn.Module:
    def how(net: Any, x: Tensor) -> Tensor:
        z, state = net.n(net.a(x))
        return net.n(net.b(z), state if hand_on else None)[0]

    p = norse.LIFParameters(torch.tensor(500.0), torch.tensor(500.0))
    return net(how, make=lambda: norse.LIF(p))


def test_a_norse_state_that_is_handed_on_is_refused() -> None:
    same_output(norse_twice(False), X)
    with pytest.raises(UnsupportedError, match=r"SFX-E109 n .*starts from the membrane"):
        export(norse_twice(True), X[:, :1])


def test_a_hidden_membrane_of_snntorch_is_refused_where_it_serves_two_layers() -> None:
    def how(net: Any, x: Tensor) -> Tensor:
        return torch.stack([net.n(net.b(net.n(net.a(step)))) for step in x])

    with pytest.raises(UnsupportedError, match=r"SFX-E109 n .*another layer at step 0"):
        export(net(how, make=lambda: snn.Leaky(0.5, init_hidden=True)), X[:, :1])


def test_states_are_zeroed_in_the_middle_of_a_forward() -> None:
    def how(net: Any, x: Tensor) -> Tensor:
        return run(net.m, net.b, run(net.n, net.a, x, clean=True), clean=False)

    def run(n: Any, fc: nn.Module, x: Tensor, clean: bool) -> Tensor:
        if clean:
            snn.Leaky.reset_hidden()
        return torch.stack([n(fc(step)) for step in x])

    other = snn.Leaky(0.5, init_hidden=True)
    other(torch.ones(2, 3))
    model = net(how, make=lambda: snn.Leaky(0.5, init_hidden=True))
    instances = snn.SpikingNeuron.instances
    export(model, X[:, :1])
    assert snn.SpikingNeuron.instances is instances
    assert bool(other.mem.any()), "a neuron of another model was reset"


# --- recurrent kernels ----------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [3, (3, 5), (1, 3)])
@pytest.mark.parametrize("kind", ["RLeaky", "RSynaptic"])
def test_recurrent_convolutions(kind: str, kernel: Any) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3, padding=1)
            options = {"conv2d_channels": 3, "kernel_size": kernel, "threshold": 4.0}
            first = {"beta": 0.5} if kind == "RLeaky" else {"alpha": 0.5, "beta": 0.5}
            self.lif = getattr(snn, kind)(**first, **options)

        def forward(self, x: Tensor) -> Tensor:
            state, spikes = self.lif.reset_mem(), []
            for step in x:
                state = self.lif(self.conv(step), *state)
                spikes.append(state[0])
            return torch.stack(spikes)

    model = lively(Recurrent(), seed=5)
    model.lif.recurrent.weight.data.div_(2)
    same_output(model, events(T, 3, 2, 5, 4, seed=2).float())
