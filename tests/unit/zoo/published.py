"""What the tests of the published networks share: live models, hooks, counts, a trace."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfx.frontends.neurons.ge_lif import GreaterEqualLIF
from sfx.frontends.neurons.lif_op import numbered, over_time
from sfx.frontends.neurons.multistep import MultiStep
from sfx.frontends.neurons.spec import LifSpec
from sfx.frontends.zoo.public_model import PublicModel

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

PLAIN_OPS = {
    *("conv1d", "conv2d", "convolution", "linear", "addmm", "mm", "bmm", "matmul", "t"),
    *("batch_norm", "_native_batch_norm_legit_no_training", "max_pool2d"),
    *("max_pool2d_with_indices", "add", "mul", "div", "sum", "mean", "expand", "clone"),
    *("reshape", "view", "_unsafe_view", "flatten", "transpose", "permute", "lif"),
}
"""Ops that a traced network may consist of: those of the public networks' own traces."""


def awake(
    model: PublicModel, seed: int = 0, shifts: tuple[float, float] = (-0.25, 1.25)
) -> tuple[PublicModel, Tensor]:
    """`model` with random batch norms, their statistics those of a random batch, in `eval()`.

    Without this an untrained network is silent past its stem. Returns the batch too, whole
    numbers 0..3, [T, 2, C, H, W], another frame at each step.

    shifts  range of the batch norms' offsets
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    steps, _, *frame = model.input_shape
    x = torch.randint(0, 4, (steps, 2, *frame), generator=generator).float()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 1.0, 3.0, generator=generator)
            nn.init.uniform_(module.bias, *shifts, generator=generator)
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.train()(x)
    return model.eval(), x


def seeded(model: type[PublicModel], config: Any, seed: int = 0) -> PublicModel:
    torch.manual_seed(seed)
    return model(config)


def parameters(model: type[PublicModel], config: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in model(config).parameters())


def neurons(model: type[PublicModel], config: Any) -> int:
    """Neurons of one sample, the time steps not unrolled; nothing is computed."""
    with torch.device("meta"):
        net = model(config).eval()
        x = torch.zeros(1, *config.input_shape[1:])
    outputs = {p: m for p, m in net.named_modules() if isinstance(m, MultiStep)}
    return sum(y.numel() for _, y in seen(net, x, outputs).values())


def seen(model: nn.Module, x: Tensor, modules: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """(input, output) of the modules at these paths while `model` runs on x."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[path] = (inputs[0], output)

        return hook

    handles = [model.get_submodule(path).register_forward_hook(keep(path)) for path in modules]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


def rates(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Mean spikes per neuron and step of every population."""
    paths = [p for p, m in model.named_modules() if isinstance(m, MultiStep)]
    return {p: float(y.mean()) for p, (_, y) in seen(model, x, paths).items()}


def assert_alive(model: nn.Module, x: Tensor, populations: int, saturated: int = 0) -> None:
    """Every population fires, and none (but `saturated` of them) at every neuron and step."""
    found = rates(model, x)
    assert len(found) == populations
    assert min(found.values()) > 0, found
    assert list(found.values()).count(1.0) == saturated, found


def assert_answers(model: PublicModel, x: Tensor) -> None:
    """One tensor of logits, twice the same; samples and training flags do not leak."""
    with torch.no_grad():
        first, second, alone = model(x), model(x), model(x[:, 1:])
    assert isinstance(first, Tensor)
    assert first.shape == (x.shape[1], model.config.num_classes)
    assert torch.equal(first, second)
    torch.testing.assert_close(first[1:], alone, rtol=0, atol=1e-5)
    assert not torch.equal(first[0], first[1])
    assert tuple(model.example_input().shape) == model.input_shape


def value_class(x: Tensor) -> str:
    """The kind of values that reach a layer: `binary`, `0..n` (whole numbers) or `real`."""
    values = x.detach().numpy()
    if not np.array_equal(values, np.round(values)) or values.min() < 0:
        return "real"
    return "binary" if values.max() <= 1 else f"0..{int(values.max())}"


def inputs_of(model: nn.Module, x: Tensor, paths: Iterable[str]) -> dict[str, str]:
    return {p: value_class(i) for p, (i, _) in seen(model, x, paths).items()}


def assert_traceable(model: PublicModel, x: Tensor) -> None:
    """With its neurons opaque the network is a trace of plain ops, equal to it bit for bit."""
    with torch.no_grad():
        expected = model(x)
    count = _swap_neurons(model)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch.export's own, about its internals
        program: Any = torch.export.export(model, (x,), strict=False)
        replayed = program.module()(x)
    ops = [n.target for n in program.graph.nodes if n.op == "call_function"]
    names = [op._schema.name.partition("::")[2] for op in ops if hasattr(op, "_schema")]
    assert set(names) <= PLAIN_OPS, set(names) - PLAIN_OPS
    assert names.count("lif") == count > 0
    assert torch.equal(replayed, expected)


class OpaqueLif(nn.Module):
    """The op that stands for a neuron in a trace."""

    def __init__(self, spec: LifSpec) -> None:
        super().__init__()
        self.spec, self.number = spec, numbered(spec)

    def forward(self, x: Tensor) -> Tensor:
        return over_time(x, self.number)[0]


def _swap_neurons(model: nn.Module) -> int:
    swapped = 0
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, MultiStep):
                assert isinstance(child.cell, GreaterEqualLIF)
                setattr(module, name, OpaqueLif(_spec(child.cell)))
                swapped += 1
    return swapped


def _spec(cell: GreaterEqualLIF) -> LifSpec:
    # v >= threshold is v > the float32 just below it
    below = np.nextafter(np.float32(cell.threshold), np.float32(0))
    return LifSpec(decay=cell.decay, threshold=float(below))


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def norms(**channels: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of batch norms, given as path (`__` for a dot) = channels."""
    found: dict[str, tuple[int, ...]] = {}
    for path, c in channels.items():
        for field in NORM:
            shape = () if field == "num_batches_tracked" else (c,)
            found[f"{path.replace('__', '.')}.{field}"] = shape
    return found


def assert_round_trip(model: PublicModel, x: Tensor, public: dict[str, Tensor]) -> None:
    """`public`, the state of `model` under a public checkpoint's keys, makes the same network."""
    with torch.no_grad():
        expected = model(x)
        assert not torch.equal(seeded(type(model), model.config, 7).eval()(x), expected)
    for state in (public, model.state_dict()):
        other = seeded(type(model), model.config, seed=7)
        other.load_state_dict(state)
        with torch.no_grad():
            assert torch.equal(other.eval()(x), expected)
        assert shapes(other.state_dict()) == shapes(model.state_dict())
