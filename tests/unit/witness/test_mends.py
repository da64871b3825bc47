"""Each mend of the PyTorch door, taken out: the model beside its graph shows what is then wrong.

`test_faults` puts faults into graphs by hand. Here the reader itself goes wrong again, as it was
before its mend, on a model of a user; with the mend the same model is right, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

for _library in ("norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

import norse.torch as norse  # noqa: E402
import torch  # noqa: E402
from spikingjelly.activation_based import layer, neuron  # noqa: E402
from spikingjelly.activation_based.base import MemoryModule  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.neurons import probe, spikingjelly  # noqa: E402
from sfx.frontends.neurons.spec import LifSpec  # noqa: E402
from sfx.frontends.tracing import export as torch_export  # noqa: E402
from sfx.frontends.tracing import ops_steps, prepare  # noqa: E402
from sfx.frontends.tracing.export import traced  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.compiler import compile as compiler  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from tests.unit.witness.nets import Net, chain, fire, lin  # noqa: E402
from tests.unit.witness.test_faults import (  # noqa: E402
    PLIF,
    Amplified,
    Charge,
    Fire,
    Half,
    Refractory,
    Reset,
    Scaled,
    Strict,
    Three,
    leaky,
    two,
)

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Patch = pytest.MonkeyPatch
ONES = np.ones((1, 8, 1), np.int64)


# --- what takes a mend out --------------------------------------------------------------------


def no_probe(patch: Patch) -> None:
    """A neuron is believed to be what its class and constants say."""
    patch.setattr(probe, "check", lambda opaque, path: None)


def surrogate_ignored(patch: Patch) -> None:
    """Nor is its surrogate function asked about ties."""
    no_probe(patch)
    patch.setattr(spikingjelly, "_misses_a_tie", lambda module: False)


def start_ignored(patch: Patch) -> None:
    """set_reset_value is not read."""
    no_probe(patch)
    patch.setattr(spikingjelly, "_started", lambda spec, module, path: spec)


def state_forgotten(patch: Patch) -> None:
    """A second call in one forward() starts from rest."""
    patch.setattr(ops_steps, "_no_call_before", lambda state: None)


def tie_lost(patch: Patch) -> None:
    """v >= threshold is read as v > threshold."""
    no_probe(patch)
    real = spikingjelly._started
    patch.setattr(spikingjelly, "_started", lambda *given: replace(real(*given), reached=False))


def in_double(patch: Patch) -> None:
    """A threshold stays the decimal number that was written, as no float32 membrane has it."""
    no_probe(patch)
    real = spikingjelly._started

    def started(spec: LifSpec, module: nn.Module, path: str) -> LifSpec:
        made = real(spec, module, path)
        return replace(made, threshold=made.threshold * (1 + 2.0**-23))

    patch.setattr(spikingjelly, "_started", started)


def forward_covered(patch: Patch) -> None:
    """The op stands for forward() itself, whatever a subclass does there."""
    no_probe(patch)
    patch.setattr(spikingjelly._InMemory, "methods", lambda self: {"forward": self._multi})


def counts_as_bits(patch: Patch) -> None:
    """Event counts are lowered as if they were 0 or 1."""
    patch.setattr(compiler, "entering", lambda graph, data, options: 1)


PROXIES = tuple(int(n) for n in torch.__version__.split(".")[:2]) < (2, 6)
"""Whether torch.export shows forward() proxies of its layers."""


def proxies(patch: Patch) -> None:
    """forward() sees torch.export's proxies of its layers."""
    patch.setattr(prepare, "true_modules", nullcontext)


def two_steps_for_one(patch: Patch) -> None:
    """T = 1 is traced with two steps."""
    real = torch_export._input

    def longer(example: Tensor, input_layout: str) -> Tensor:
        return real(example.expand(2, *example.shape[1:]), input_layout).contiguous()

    patch.setattr(torch_export, "_input", longer)


def while_traced(patch: Patch, around: Callable[[nn.Module], Any]) -> None:
    """`around(neuron)` holds while the model is traced, and not when it runs."""
    real = torch_export.trace

    def trace(model: nn.Module, *args: Any, **options: Any) -> Any:
        found = next(m for m in model.modules() if isinstance(m, neuron.BaseNode))
        with around(found):
            return real(model, *args, **options)

    patch.setattr(torch_export, "trace", trace)


def hooks_lost(patch: Patch) -> None:
    """The neuron's stand-in has no hooks."""

    @contextmanager
    def around(module: nn.Module) -> Iterator[None]:
        held = [dict(h) for h in (module._forward_hooks, module._forward_pre_hooks)]
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        try:
            yield
        finally:
            module._forward_hooks.update(held[0])
            module._forward_pre_hooks.update(held[1])

    while_traced(patch, around)


class StandIn(MemoryModule):  # type: ignore[misc]  # SpikingJelly ships without types
    """Not the library's neuron."""

    store_v_seq = False

    def forward(self, x: Tensor) -> Tensor:
        """The op."""
        made: Tensor = self.multi_step_forward(x)
        return made


def another_class(patch: Patch) -> None:
    """The neuron's stand-in is of another class."""

    @contextmanager
    def around(module: nn.Module) -> Iterator[None]:
        before, module.__class__ = module.__class__, StandIn
        try:
            yield
        finally:
            module.__class__ = before

    while_traced(patch, around)


def other_constants(patch: Patch) -> None:
    """The neuron's stand-in has a threshold of its own."""

    @contextmanager
    def around(module: Any) -> Iterator[None]:
        before, module.v_threshold = module.v_threshold, 1.0
        try:
            yield
        finally:
            module.v_threshold = before

    while_traced(patch, around)


# --- the models -------------------------------------------------------------------------------


def started() -> nn.Module:
    """A neuron that starts at half its threshold."""
    node = fire()
    node.set_reset_value("v", 0.5)
    node.reset()
    return chain(node)


def hooked(pre: bool) -> nn.Module:
    """Twice the current, or twice the spikes."""
    model = two(fire())
    if pre:
        model.n.register_forward_pre_hook(lambda module, args: (args[0] / 2,))
    else:
        model.n.register_forward_hook(lambda module, args, out: 2 * out)
    return model


def shared() -> nn.Module:
    """One neuron module after two layers."""
    return Net(lambda s, x: s.n(s.b(s.n(s.a(x)))), a=lin([[0.4]]), b=lin([[0.4]]), n=fire())


def q_and_k() -> nn.Module:
    """One neuron module for q and for k."""
    return Net(lambda s, x: s.n(s.a(x)) + s.n(s.b(x)), a=lin([[0.4]]), b=lin([[0.3]]), n=fire())


def handed_on() -> nn.Module:
    """Norse's state of one call goes into the next."""

    def forward(s: Any, x: Tensor) -> Any:
        spikes, state = s.n(s.a(x))
        return s.n(s.b(spikes), state)[0]

    return Net(forward, a=lin([[9.0]]), b=lin([[0.0]]), n=norse.LIF())


def if_class(s: Any, x: Tensor) -> Tensor:
    """A branch on the neuron's class."""
    y = s.a(x)
    return s.n(2 * y if isinstance(s.n, neuron.BaseNode) else y)


def if_layer(s: Any, x: Tensor) -> Tensor:
    """A branch on a layer's very class."""
    y = s.a(x)
    return s.n(2 * y if type(s.a) is nn.Linear else y)


def pooled() -> nn.Module:
    """A max-pool of counts before the first weights."""
    return nn.Sequential(layer.MaxPool2d(2, step_mode="m"), fire(v_threshold=4.0))


def multiplied() -> nn.Module:
    """A product of counts before the first weights."""
    return Net(lambda s, x: s.n(s.a(x * x)), a=lin([[1.0]]), n=fire(v_threshold=4.0))


COUNTS = np.zeros((1, 3, 1, 2, 2), np.int64)
COUNTS[..., 0, 0] = 5


@dataclass(frozen=True)
class Mend:
    """out: takes it out;  code: the witness's then, at `where`.

    refused  the reader's own code while the mend is there; "" where the model is read right
    """

    out: Callable[[Patch], None]
    model: Callable[[], nn.Module]
    code: str
    where: str = "n"
    refused: str = ""
    x: np.ndarray[Any, Any] = field(default_factory=lambda: ONES)


def plif(**options: Any) -> nn.Module:
    """A parametric LIF whose forward asks its surrogate."""
    return chain(neuron.ParametricLIFNode(**PLIF, **options), 1.0)


MENDS = {
    "forward": Mend(forward_covered, lambda: chain(Scaled(step_mode="m")), "SFX-E180"),
    "refractory": Mend(
        no_probe, lambda: chain(Refractory(step_mode="m"), 1.0), "SFX-E180", refused="SFX-E108"
    ),
    "charge": Mend(no_probe, lambda: chain(Charge(step_mode="m")), "SFX-E180", refused="SFX-E108"),
    "fire": Mend(no_probe, lambda: chain(Fire(**PLIF), 1.5), "SFX-E180", refused="SFX-E108"),
    "reset": Mend(no_probe, lambda: chain(Reset(**PLIF), 0.75), "SFX-E180", refused="SFX-E108"),
    "snnTorch's forward": Mend(
        no_probe, lambda: Net(leaky, a=lin([[1.5]]), n=Half(beta=0.5)), "SFX-E180",
        refused="SFX-E108",
    ),
    "Norse's forward": Mend(
        no_probe, lambda: Net(lambda s, x: s.n(s.a(x))[0], a=lin([[0.5]]), n=Amplified()),
        "SFX-E180", refused="SFX-E108",
    ),
    "strict surrogate": Mend(
        surrogate_ignored, lambda: plif(surrogate_function=Strict()), "SFX-E180"
    ),
    "many-valued surrogate": Mend(
        no_probe, lambda: plif(surrogate_function=Three()), "SFX-E183", refused="SFX-E108"
    ),
    "start": Mend(start_ignored, started, "SFX-E180"),
    "shared neuron": Mend(state_forgotten, shared, "SFX-E180", refused="SFX-E109"),
    "q and k": Mend(state_forgotten, q_and_k, "SFX-E180", refused="SFX-E109"),
    "Norse's state": Mend(state_forgotten, handed_on, "SFX-E180", refused="SFX-E109"),
    "pre-hook": Mend(hooks_lost, lambda: hooked(True), "SFX-E181"),
    "hook": Mend(hooks_lost, lambda: hooked(False), "SFX-E181", "m"),
    "isinstance": Mend(
        another_class, lambda: Net(if_class, a=lin([[0.5]]), n=fire()), "SFX-E181"
    ),
    "type of a layer": Mend(proxies, lambda: Net(if_layer, a=lin([[0.5]]), n=fire()), "SFX-E181"),
    "constant of a neuron": Mend(
        other_constants,
        lambda: Net(lambda s, x: s.n(s.a(x) * s.n.v_threshold), a=lin([[0.5]]),
                    n=fire(v_threshold=3.0)),
        "SFX-E181",
    ),
    "len(x) at T = 1": Mend(
        two_steps_for_one,
        lambda: Net(lambda s, x: s.n(s.a(x) / len(x)), a=lin([[1.0]]), n=fire()),
        "SFX-E181", x=ONES[:, :1],
    ),
    "tie": Mend(tie_lost, lambda: chain(fire()), "SFX-E180"),
    "tie at 0.3": Mend(tie_lost, lambda: chain(fire(v_threshold=0.3), 0.3), "SFX-E180"),
    "tie after v_reset": Mend(tie_lost, lambda: chain(fire(v_reset=-0.5)), "SFX-E180"),
    "threshold of 0.7": Mend(in_double, lambda: chain(fire(v_threshold=0.7), 0.7), "SFX-E180"),
    "pool of counts": Mend(counts_as_bits, pooled, "SFX-E180", "1", x=COUNTS),
    "product of counts": Mend(counts_as_bits, multiplied, "SFX-E180", x=2 * ONES),
}  # fmt: skip


def checked(model: nn.Module, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What the witness says of a model that is compiled with its samples x."""
    exported = traced(model.eval(), torch.zeros(x.shape[1:])[:, None])
    source = api.Source(exported.graph, "model", "", None, exported=exported)
    bundle = api.compile(source, calibrate=sfx.Data(x, None))
    witness: dict[str, Any] = bundle.manifest["witness"]
    return witness


@pytest.mark.parametrize("name", MENDS)
def test_without_its_mend_a_fault_is_seen(name: str, monkeypatch: Patch) -> None:
    mend = MENDS[name]
    if mend.out is proxies and not PROXIES:
        pytest.skip("this torch's export shows forward() its layers as they are")
    mend.out(monkeypatch)
    with pytest.raises(SfxError) as error:
        checked(mend.model(), mend.x)
    assert [p.code for p in error.value.problems] == [mend.code], str(error.value)
    assert error.value.problems[0].where == mend.where


@pytest.mark.parametrize("name", MENDS)
def test_with_its_mend_a_model_is_right_or_refused(name: str) -> None:
    mend = MENDS[name]
    if mend.refused:
        with pytest.raises(SfxError) as error:
            checked(mend.model(), mend.x)
        assert {p.code for p in error.value.problems} == {mend.refused}
        return
    found = checked(mend.model(), mend.x)
    assert found["compared"] > 0
    assert found["spikes"] > 0
    assert (found["differ"], found["silent"], found["unmatched"]) == (0, [], [])
