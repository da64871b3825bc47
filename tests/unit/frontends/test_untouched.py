"""The user's model is bit for bit what it was, after an export and after every kind of refusal."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
norse = pytest.importorskip("norse.torch", reason="Norse is not installed")
from spikingjelly.activation_based import neuron, surrogate  # noqa: E402
from tests.unit.frontends.models import events  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.ge_lif import plif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

T = 4
X = events(T, 3, 6, seed=1).float()


class Writes(neuron.LIFNode):
    """Another neuron, which writes into its buffers, lists and attributes, and draws numbers."""

    def __init__(self) -> None:
        super().__init__(step_mode="m")
        self.register_buffer("seen", torch.zeros(2))
        self.log: list[int] = []
        self.runs = 0

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        self.seen += 1
        self.log.append(len(x_seq))
        self.runs += 1
        random.random()
        noise = np.random.rand()  # noqa: NPY002  # as its author would
        return super().multi_step_forward(x_seq + noise + torch.rand_like(x_seq))


class Everything(nn.Module):
    """Neurons of all libraries, dirty, with hooks; `how` makes one of the refusals."""

    def __init__(self, how: str, lif: nn.Module | None = None) -> None:
        super().__init__()
        self.how = how
        self.fc = nn.Linear(6, 6)
        self.bn = nn.BatchNorm1d(6)
        own = surrogate.Sigmoid()  # the default one is shared by all neurons
        self.sj = lif or neuron.LIFNode(surrogate_function=own, step_mode="m", store_v_seq=True)
        self.one = neuron.IFNode()
        self.leaky = snn.Leaky(0.5, init_hidden=True)
        self.rleaky = snn.RLeaky(0.5, linear_features=6)
        self.cell = norse.IAFCell()
        self.box = norse.LIFBoxCell()
        self.ours = plif()
        self.layers = nn.ModuleList([self.fc] * (2 if how == "shared" else 0))
        self.register_buffer("calls", torch.zeros(()))
        self.note: Any = None
        self.record: list[Any] = []
        self.sj.register_forward_hook(lambda m, args, output: self.record.append(output))
        self.fc.register_forward_pre_hook(lambda m, args: None)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.fc(x).flatten(0, 1)).unflatten(0, x.shape[:2])
        self.note = x  # a traced tensor among the attributes
        x = self.ours(self.sj(x))
        if self.how == "twice":
            x = self.sj(x)
        if self.how == "softmax":
            x = x.softmax(-1)
        if self.how == "values":
            x = x if x.sum() > 3 else 2 * x
        if self.how == "buffer":
            self.calls += 1
        if self.how == "raises":
            raise RuntimeError("of the model itself")
        if self.how == "class":
            self.fc.__class__ = nn.Identity
        spikes, state, box, rec = [], None, None, self.rleaky.reset_mem()
        for step in x:
            z = self.leaky(self.one(step))
            z, state = self.cell(z, state)
            z, box = self.box(z, box)
            rec = self.rleaky(z, *rec)
            spikes.append(rec[0])
        if self.how == "shared":
            return torch.stack([layer(s) for layer in self.layers for s in spikes])
        return torch.stack(spikes)


def picture(value: Any) -> Any:
    """`value` with every tensor as (its place, class, numbers), to be compared with ==."""
    if isinstance(value, Tensor):
        numbers = value.detach().numpy().tobytes()
        return (id(value), type(value), value.requires_grad, value.dtype, numbers)
    if isinstance(value, dict):
        return (id(value), type(value), [(k, picture(v)) for k, v in value.items()])
    if isinstance(value, set):  # put back, its order may be another: strings' hashes are drawn
        return (id(value), type(value), sorted(map(str, value)))
    if isinstance(value, list | tuple):
        return (id(value), type(value), [picture(v) for v in value])
    return (id(value) if isinstance(value, nn.Module) else value, type(value))


def whole(model: nn.Module) -> Any:
    generators = (random.getstate(), torch.get_rng_state().numpy().tobytes(),
                  np.random.get_state()[1].tobytes())  # fmt: skip  # noqa: NPY002
    instances = (id(snn.SpikingNeuron.instances), list(map(id, snn.SpikingNeuron.instances)))
    modules = [(id(m), type(m), picture(vars(m))) for m in model.modules()]
    return modules, generators, instances


def dirty(how: str, lif: nn.Module | None = None) -> Everything:
    """A model that has run, with gradients, half of it in training mode."""
    model = Everything(how, lif)
    model.how = ""
    model(X)
    model.how = how
    model.bn.eval()
    model.cell.p.v_th.requires_grad_(False)
    return model


REFUSALS: dict[str, Callable[[], Everything]] = {
    "a second call": lambda: dirty("twice"),
    "an op": lambda: dirty("softmax"),
    "control flow": lambda: dirty("values"),
    "a buffer": lambda: dirty("buffer"),
    "an error of the model": lambda: dirty("raises"),
    "another neuron": lambda: dirty("", Writes()),
    "a neuron that is not mapped": lambda: dirty("", neuron.QIFNode(step_mode="m")),
    "a hook inside": lambda: hooked_inside(dirty("")),
}


def hooked_inside(model: Everything) -> Everything:
    model.sj.surrogate_function.register_forward_hook(lambda m, args, output: 2 * output)
    return model


@pytest.mark.parametrize("kind", REFUSALS)
def test_after_a_refusal(kind: str) -> None:
    model = REFUSALS[kind]()
    before = whole(model)
    with pytest.raises(SfxError):
        export(model, X[:, :1])
    assert whole(model) == before


@pytest.mark.parametrize("how", ["", "class", "shared"])
def test_after_an_export(how: str) -> None:
    model = dirty(how)
    before = whole(model)
    try:
        export(model, X[:, :1])
    except SfxError:
        assert how == "shared"
    assert whole(model) == before


def test_a_membrane_that_a_run_left_is_not_exported() -> None:
    used, fresh = dirty(""), Everything("")
    fresh.load_state_dict(used.state_dict())
    assert bool(used.sj.v.any())
    one, other = export(used, X[:, :1]), export(fresh, X[:, :1])
    assert list(one.nodes) == list(other.nodes)
    for name, node in one.nodes.items():
        assert picture_of(node) == picture_of(other.nodes[name]), name


def picture_of(node: Any) -> dict[str, Any]:
    return {k: np.asarray(v).tobytes() for k, v in vars(node).items() if isinstance(v, np.ndarray)}
