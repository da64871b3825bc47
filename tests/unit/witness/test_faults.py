"""Each way of reading a model wrong is seen by running the model beside its graph.

Where today's reader refuses or mends a kind, the fault is put back by hand: into the constants it
reads, into a node of the graph, or into the passes. So these tests do not lean on any reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

for _library in ("norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

import nir  # noqa: E402
import norse.torch as norse  # noqa: E402
import snntorch as snn  # noqa: E402
import torch  # noqa: E402
from spikingjelly.activation_based import neuron  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.tracing.calls import NeuronCalls  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.frontends.witness.compare import compare, compare_lowered  # noqa: E402
from sfx.frontends.witness.record import record  # noqa: E402
from sfx.frontends.witness.samples import drawn  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402
from sfx.toolchain.ir.graph import Graph, Node  # noqa: E402
from tests.unit.frontends.written import Written  # noqa: E402
from tests.unit.witness.nets import Net, chain, fire, lin  # noqa: E402

ONES = np.ones((8, 1))


def beside(
    model: nn.Module,
    x: Any = ONES,
    wrong: Callable[[Graph], Graph] = lambda graph: graph,
    **options: Any,
) -> Any:
    """The witness of a model on x, with something wrong in its graph."""
    x = np.asarray(x, np.float64)
    exported = traced(model.eval(), torch.zeros(len(x), 1, *x.shape[1:]), **options)
    return compare(wrong(to_graph(exported.graph)), [record(exported, x)])


def caught(code: str, model: nn.Module, x: Any = ONES, **options: Any) -> str:
    """The message of the difference."""
    with pytest.raises(InputError) as error:
        beside(model, x, **options)
    assert error.value.code == code, str(error.value)
    return str(error.value)


def each(kind: type[g.Op], change: Callable[[Any], Any]) -> Callable[[Graph], Graph]:
    """A graph with every op of one kind changed."""

    def wrong(graph: Graph) -> Graph:
        def of(node: Node) -> Node:
            return replace(node, op=change(node.op)) if isinstance(node.op, kind) else node

        return graph.with_nodes(of(n) for n in graph)

    return wrong


def test_a_right_model_is_counted() -> None:
    found = beside(chain(fire()))
    assert found.checked
    assert found.differ == found.ties == 0
    assert found.spikes == 4  # half the threshold a step: every second step of 8
    assert found.compared == 8 * 3  # a current, a spike and the output
    assert found.silent == found.unmatched == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.75},
        {"reached": False},  # strict: the framework fires on >=
        {"hold": 1},
        {"decay": 0.25},
        {"gain": 1.5},
        {"reset": 0.25},
        {"start": 0.5},
        {"leak": 0.5},
        {"subtract": True, "drop": 0.75},
        {"syn": 0.5, "w_in": 1.0},
    ],
    ids=lambda w: " ".join(w),
)
def test_every_constant_of_a_neuron(wrong: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.normal(size=(60, 4)), np.eye(4)])  # generic ones, and ties
    node = neuron.LIFNode(tau=2.0, decay_input=False, step_mode="m")
    model = Net(lambda s, x: s.n(s.a(x)), a=lin(weights), n=node)
    x = rng.integers(0, 2, (12, 4)).astype(float)
    assert beside(model, x).differ == 0
    caught("SFX-E180", model, x, wrong=each(g.LIF, lambda op: replace(op, **wrong)))


def test_the_message_names_module_step_values_and_causes() -> None:
    wrong = each(g.IF, lambda op: replace(op, threshold=0.25))
    text = caught("SFX-E180", chain(fire()), wrong=wrong)
    assert text.startswith(
        "SFX-E180 n: the graph is not the model: the neuron [0] fires 0 in torch"
    )
    assert "and 1 (its v 0.5, threshold 0.25) in the graph, at sample 0, step 0" in text
    assert re.search(r"\d of its 8 values differ", text)
    assert "overrides forward()" in text
    assert "--no-check" in text


# --- subclasses: the reader takes them for the library's class --------------------------------


class Scaled(neuron.IFNode):  # type: ignore[misc]  # SpikingJelly ships without types
    """Overrides forward."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x)


class Refractory(neuron.IFNode):  # type: ignore[misc]
    """A step of rest after each spike."""

    def multi_step_forward(self, x: Tensor) -> Tensor:
        out, last = [], torch.zeros(())
        for step in x:
            last = self.single_step_forward(step * (1 - last))
            out.append(last)
        return torch.stack(out)


class Charge(Written):  # type: ignore[misc]
    """Overrides the charge."""

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = 0.5 * self.v + 2 * x


class Fire(Written):  # type: ignore[misc]
    """Overrides the firing."""

    def neuronal_fire(self) -> Tensor:
        return (self.v >= 2 * self.v_threshold).to(self.v)


class Reset(Written):  # type: ignore[misc]
    """Overrides the reset."""

    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - 0.25 * spike


class Half(snn.Leaky):  # type: ignore[misc]
    """snnTorch: overrides forward."""

    def forward(self, x: Tensor, mem: Any = None) -> Any:
        return super().forward(0.5 * x, mem)


class Amplified(norse.LIF):  # type: ignore[misc]
    """Norse: overrides forward."""

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return super().forward(9 * x, state)


def leaky(s: Any, x: Tensor) -> Tensor:
    """The usual loop around a snnTorch neuron."""
    mem, out = torch.zeros(x.shape[1], 1), []
    for t in range(len(x)):
        spike, mem = s.n(s.a(x[t]), mem)
        out.append(spike)
    return torch.stack(out)


PLIF = {"init_tau": 2.0, "decay_input": False, "step_mode": "m"}
SUBCLASSES: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "forward": (lambda: chain(Scaled(step_mode="m")), lambda: chain(fire())),
    "refractory": (lambda: chain(Refractory(step_mode="m"), 1.0), lambda: chain(fire(), 1.0)),
    "charge": (
        lambda: chain(Charge(step_mode="m")),
        lambda: chain(neuron.ParametricLIFNode(step_mode="m")),
    ),
    "fire": (
        lambda: chain(Fire(**PLIF), 1.5),
        lambda: chain(neuron.ParametricLIFNode(**PLIF), 1.5),
    ),
    "reset": (
        lambda: chain(Reset(**PLIF), 0.75),
        lambda: chain(neuron.ParametricLIFNode(**PLIF), 0.75),
    ),
    "snntorch": (
        lambda: Net(leaky, a=lin([[1.5]]), n=Half(beta=0.5)),
        lambda: Net(leaky, a=lin([[1.5]]), n=snn.Leaky(beta=0.5)),
    ),
    "norse": (
        lambda: Net(lambda s, x: s.n(s.a(x))[0], a=lin([[0.5]]), n=Amplified()),
        lambda: Net(lambda s, x: s.n(s.a(x))[0], a=lin([[0.5]]), n=norse.LIF()),
    ),
}


@pytest.mark.parametrize("name", SUBCLASSES)
def test_a_subclass_read_as_its_base(name: str) -> None:
    live, plain = SUBCLASSES[name]
    unlike("SFX-E180", plain(), live())


# --- state, hooks, surrogates -----------------------------------------------------------------


def unlike(
    code: str,
    plain: nn.Module,
    live: nn.Module,
    x: Any = ONES,
    shared: dict[str, tuple[str, int]] | None = None,
) -> None:
    """The graph of `plain` beside `live`, as of a reader that does not see the difference.

    shared  path in `plain` -> (path in `live`, which of its two calls)
    """
    x = np.asarray(x, np.float64)
    exported = traced(plain.eval(), torch.zeros(len(x), 1, *x.shape[1:]))
    modules = dict(live.eval().named_modules())

    def of(neuron: NeuronCalls) -> NeuronCalls:
        if shared is None:
            return replace(neuron, module=modules[neuron.path], methods=("forward",))
        path, call = shared[neuron.path]
        return replace(
            neuron, module=modules[path], methods=("forward",), calls=(call,), total=len(shared)
        )

    beside_it = replace(exported, model=live, neurons=tuple(of(n) for n in exported.neurons))
    with pytest.raises(InputError) as error:
        compare(to_graph(exported.graph), [record(beside_it, x)])
    assert error.value.code == code, str(error.value)


def handed_on(s: Any, x: Tensor) -> Tensor:
    """Norse's state of one call goes into the next."""
    spikes, state = s.n(s.a(x))
    spikes, _ = s.n(s.b(spikes), state)
    return spikes


SHARED: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "two layers": (
        lambda: Net(lambda s, x: s.n(s.b(s.n(s.a(x)))), a=lin([[0.4]]), b=lin([[0.4]]), n=fire()),
        lambda: Net(
            lambda s, x: s.m(s.b(s.n(s.a(x)))), a=lin([[0.4]]), b=lin([[0.4]]), n=fire(), m=fire()
        ),
    ),
    "q and k": (
        lambda: Net(
            lambda s, x: s.n(s.a(x)) + s.n(s.b(x)), a=lin([[0.4]]), b=lin([[0.3]]), n=fire()
        ),
        lambda: Net(
            lambda s, x: s.n(s.a(x)) + s.m(s.b(x)),
            a=lin([[0.4]]), b=lin([[0.3]]), n=fire(), m=fire(),
        ),
    ),
    "Norse": (
        lambda: Net(handed_on, a=lin([[9.0]]), b=lin([[0.0]]), n=norse.LIF()),
        lambda: Net(
            lambda s, x: s.m(s.b(s.n(s.a(x))[0]))[0],
            a=lin([[9.0]]), b=lin([[0.0]]), n=norse.LIF(), m=norse.LIF(),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_a_state_that_one_call_leaves_to_the_next(name: str) -> None:
    live, plain = SHARED[name]
    unlike("SFX-E180", plain(), live(), shared={"n": ("n", 0), "m": ("n", 1)})


def test_a_lost_pre_hook() -> None:
    model = chain(fire())
    model.n.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    unlike("SFX-E181", chain(fire()), model)


def two(n: nn.Module) -> Net:
    """Two layers."""
    return Net(lambda s, x: s.m(s.b(s.n(s.a(x)))), a=lin([[1.0]]), n=n, b=lin([[0.5]]), m=fire())


def test_a_lost_forward_hook() -> None:
    model = two(fire())
    model.n.register_forward_hook(lambda module, args, out: 2 * out)
    unlike("SFX-E181", two(fire()), model)


class Strict(nn.Module):
    """A step at > instead of >=."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).float()


class Three(nn.Module):
    """Spikes of height 3."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * (x >= 0).float()


@pytest.mark.parametrize(("surrogate", "code"), [(Strict, "SFX-E180"), (Three, "SFX-E183")])
def test_a_surrogate_of_its_own(surrogate: type[nn.Module], code: str) -> None:
    node = neuron.ParametricLIFNode(**PLIF, surrogate_function=surrogate())
    unlike(code, chain(neuron.ParametricLIFNode(**PLIF), 1.0), chain(node, 1.0))


def test_a_start_that_was_set() -> None:
    node = fire()
    node.set_reset_value("v", 0.5)
    unlike("SFX-E180", chain(fire()), chain(node))


# --- constants, pools, thresholds -------------------------------------------------------------


def test_a_constant_of_another_batch_or_T() -> None:
    model = Net(lambda s, x: s.n(s.a(x) / len(x)), a=lin([[4.0]]), n=fire())
    caught("SFX-E181", model, wrong=each(g.Scale, lambda op: g.Scale(op.factor / 2)))


def test_the_read_out_over_another_T() -> None:
    model = Net(lambda s, x: s.c(s.n(s.a(x))).mean(0), a=lin([[0.5]]), n=fire(), c=lin([[3.0]]))
    assert beside(model).differ == 0
    text = caught("SFX-E182", model, wrong=each(g.Output, lambda op: g.Output("sum")))
    assert "the output [0] is" in text


def test_a_threshold_in_another_precision() -> None:
    """The next float32 number is never reached: torch fires on every tie, nothing was rounded."""
    exact = float(np.nextafter(np.float32(0.7), np.float32(1)))
    model = chain(fire(v_threshold=0.7), 0.7)
    caught("SFX-E180", model, wrong=each(g.IF, lambda op: replace(op, threshold=exact)))


def test_a_layer_read_wrong() -> None:
    model = Net(lambda s, x: s.n(s.b(s.a(x))), a=lin([[0.5, 0.25]] * 2), b=lin(np.eye(2)), n=fire())
    x = np.random.default_rng(1).integers(0, 3, (6, 2))

    def wrong(op: g.Linear) -> g.Linear:
        return replace(op, weight=op.weight * (1 + 1e-4))

    assert beside(model, x).differ == 0
    caught("SFX-E181", model, x, wrong=each(g.Linear, wrong))


def pooled(s: Any, x: Tensor) -> Tensor:
    """A max-pool of event counts before the first weights."""
    return s.n(s.pool(x.flatten(0, 1)).reshape(*x.shape[:2], 1, 1, 1))


def test_a_pool_of_counts_taken_for_or() -> None:
    """The float graph has a max-pool; the pass that makes an OR of it would be wrong on counts."""
    model = Net(pooled, pool=nn.MaxPool2d(2), n=fire(v_threshold=4.0)).eval()
    x = np.zeros((3, 1, 2, 2))
    x[:, 0, 0, 0] = 5
    exported = traced(model, torch.zeros(3, 1, 1, 2, 2))
    graph, seen = to_graph(exported.graph), [record(exported, x)]
    found = compare(graph, seen)

    def to_or(node: Node) -> list[Node]:
        if not isinstance(node.op, g.MaxPool2d):
            return [node]
        taken = g.SumPool2d(node.op.kernel, node.op.stride, node.op.padding)
        return [Node("sum", taken, node.inputs, node.shape),
                Node(node.name, g.Threshold(0.5), (("sum",),), node.shape)]  # fmt: skip

    lowered = graph.with_nodes(m for n in graph for m in to_or(n))
    with pytest.raises(InputError) as error:
        compare_lowered(lowered, seen, found)
    assert error.value.code == "SFX-E180"
    from sfx.toolchain.compiler.compile import lower

    binary = [record(exported, np.minimum(x, 1))]
    assert compare_lowered(lower(graph), binary, found).lowered > 0


def test_a_branch_on_the_class_of_a_neuron() -> None:
    """As if the neuron were another class while it is traced."""

    def forward(s: Any, x: Tensor) -> Tensor:
        y = s.a(x)
        return s.n(2 * y if isinstance(s.n, neuron.BaseNode) else y)

    unlike("SFX-E181", chain(fire()), Net(forward, a=lin([[0.5]]), n=fire()))


def test_a_constant_of_a_neuron_read_in_forward() -> None:
    def forward(s: Any, x: Tensor) -> Tensor:
        return s.n(s.a(x) * s.n.v_threshold)

    plain = chain(fire(v_threshold=3.0))
    unlike("SFX-E181", plain, Net(forward, a=lin([[0.5]]), n=fire(v_threshold=3.0)))


# --- what is no difference --------------------------------------------------------------------


def test_ties_within_rounding_are_counted() -> None:
    """0.1 + 0.1 + 0.1 in float32 and in float64 lie on two sides of 0.3."""
    model = chain(neuron.LIFNode(tau=3.0, v_threshold=0.3, step_mode="m"), 0.1, 1)
    weights = np.random.default_rng(2).random((200, 1)).astype(np.float32)
    model = Net(lambda s, x: s.n(s.a(x)), a=lin(weights), n=neuron.LIFNode(
        tau=3.0, v_threshold=0.3, step_mode="m"))  # fmt: skip
    assert beside(model, np.ones((50, 1))).differ == 0


def test_drawn_samples_wake_every_neuron() -> None:
    model = Net(
        lambda s, x: s.m(s.b(s.n(s.a(x)))), a=lin([[0.01]]), n=fire(), b=lin([[1.0]]), m=fire()
    )
    exported = traced(model.eval(), torch.zeros(4, 1, 1))
    (found,) = drawn(exported, (4, 1), 1, None)
    assert found.fired == {"n", "m"}  # a count of 255 does it, ones do not
    assert len(drawn(exported, (4, 1), 3, None)) == 3


def test_a_neuron_that_never_fires_is_named() -> None:
    found = beside(Net(lambda s, x: s.m(s.b(s.n(s.a(x)))), a=lin([[1.0]]), n=fire(),
                       b=lin([[-1.0]]), m=fire()))  # fmt: skip
    assert found.silent == ("m",)


def test_nothing_to_compare_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = traced(chain(fire()).eval(), torch.zeros(8, 1, 1))
    blind = replace(exported, neurons=())
    with pytest.raises(InputError, match="SFX-E185"):
        compare(to_graph(exported.graph), [record(blind, ONES)])


def test_a_model_that_does_not_run_says_so() -> None:
    def forward(s: Any, x: Tensor) -> Tensor:
        if s.fail:
            raise ValueError("my own check")
        return s.n(s.a(x))

    model = Net(forward, a=lin([[0.5]]), n=fire())
    model.fail = False
    exported = traced(model.eval(), torch.zeros(8, 1, 1))
    model.fail = True
    with pytest.raises(InputError, match=r"SFX-E184.*ValueError: my own check"):
        record(exported, ONES)


def test_the_doors(tmp_path: Any) -> None:
    """sfx.export checks, sfx.compile keeps what was found, check=False is on record."""
    node = neuron.IFNode(step_mode="m")
    graph = sfx.export(chain(node).eval(), torch.ones(8, 1, 1))
    manifest = sfx.compile(graph).manifest
    assert manifest["witness"]["spikes"] == 4
    assert manifest["witness"]["lowered"] > 0
    unchecked = sfx.export(chain(node).eval(), torch.ones(8, 1, 1), check=False)
    assert sfx.compile(unchecked).manifest["witness"] == {"checked": False}
    path = tmp_path / "model.nir"
    nir.write(path, graph)
    assert sfx.compile(str(path)).manifest["witness"] is None  # no torch model, nothing left out


def one_neuron() -> Net:
    """What `test_the_accuracy_is_that_of_the_model` loads weights into."""
    return chain(neuron.IFNode(step_mode="m"))


def test_the_accuracy_is_that_of_the_model(tmp_path: Any) -> None:
    """`sfx quantize` runs the model beside its graph as compile does."""
    path, data = tmp_path / "w.pt", sfx.Data(np.ones((2, 8, 1), np.int64), np.zeros(2, np.int64))
    torch.save(one_neuron().state_dict(), path)

    def judged(**options: Any) -> Any:
        return api.judge(path, data, calibrate=data, model=f"{__name__}:one_neuron", **options)

    assert judged().witness["spikes"] == 4
    assert judged(check=False).witness == {"checked": False}


def recurrent(s: Any, x: Tensor) -> Tensor:
    """A loop around snnTorch's RLeaky."""
    spike, mem = s.n.init_rleaky()
    out = []
    for t in range(len(x)):
        spike, mem = s.n(s.a(x[t]), spike, mem)
        out.append(spike)
    return torch.stack(out)


def test_a_recurrent_neuron() -> None:
    """What its module receives lacks its own spikes; both parts are compared."""
    torch.manual_seed(0)
    weights = np.random.default_rng(3).normal(size=(12, 4))
    node = snn.RLeaky(beta=0.5, linear_features=12)
    model = Net(recurrent, a=lin(weights), n=node)
    x = np.random.default_rng(4).integers(0, 2, (10, 4))
    found = beside(model, x)
    assert found.differ == 0
    assert found.compared == 10 * 12 * 3
    assert found.spikes > 12

    def wrong(op: g.Linear) -> g.Linear:
        return op if op.weight.shape == (12, 4) else replace(op, weight=op.weight.T)

    caught("SFX-E180", model, x, wrong=each(g.Linear, wrong))
    caught("SFX-E181", model, x, wrong=each(g.Linear, lambda op: replace(op, weight=op.weight * 2)))
