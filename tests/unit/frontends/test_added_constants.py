"""A constant that is added to a stream is kept: 1 - spikes, normalized images, position embeddings.

torch's own output on live input is the witness for the float graph and for its neuron form; where
all numbers are whole multiples of 1/8 the integer Program gives it too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from norse.torch import LIFBoxCell, LIFBoxParameters  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.compiler.compile import compile_program, lower  # noqa: E402
from sfx.toolchain.compiler.quantize.quantize import quantize  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402
from sfx.toolchain.ir.check import check_graph  # noqa: E402
from sfx.toolchain.ir.evaluate import readout, run  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402

pytestmark = pytest.mark.needs_torch

T, C, SIZE = 3, 4, 5


def lif() -> nn.Module:
    return MultiStep(LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(500.0))))


def each_step(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def pooled(x: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(x, 2, padding=1)


class Model(nn.Module):
    """Neurons, a layer of one's choice between, and neurons again."""

    def __init__(self, layer: nn.Module, middle: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(C, C, 1, bias=False)
        self.first, self.layer, self.last = lif(), layer, lif()
        self.middle = middle
        self.embedding = nn.Parameter(torch.randn(1, 1, C, SIZE, SIZE))
        self.norm = nn.BatchNorm2d(C)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.first(each_step(self.stem, x) * 4)
        made: Tensor = self.last(self.middle(self, spikes))
        return made


def embedded(m: Model, s: Tensor) -> Tensor:
    return each_step(m.layer, s) * 0.5 + m.embedding


def tokens(m: Model, s: Tensor) -> Tensor:
    x = s.flatten(3).transpose(2, 3)  # [T, B, N, C]
    return m.layer(1 - x) + m.embedding.flatten(3).transpose(2, 3)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[Model, Tensor], Tensor]]] = {
    "linear": (lambda: nn.Linear(C * SIZE**2, 7), lambda m, s: m.layer((1 - s).flatten(2))),
    "conv": (lambda: nn.Conv2d(C, 6, 3), lambda m, s: each_step(m.layer, 1 - s)),
    "padded": (lambda: nn.Conv2d(C, 6, 3, 2, 1), lambda m, s: each_step(m.layer, 1 - s)),
    "groups": (
        lambda: nn.Conv2d(C, 6, 3, padding=2, dilation=2, groups=2),
        lambda m, s: each_step(m.layer, 1 - s),
    ),
    "image mean": (
        lambda: nn.Conv2d(C, 6, 3, padding=1),
        lambda m, s: each_step(m.layer, s - m.embedding),
    ),
    "mean pool": (
        lambda: nn.Conv2d(C, 6, 2, padding=1),
        lambda m, s: each_step(m.layer, each_step(pooled, 1 - s)),
    ),
    "residual": (
        lambda: nn.Conv2d(C, C, 3, padding=1),
        lambda m, s: each_step(m.layer, 1 - s) + (1 - s),
    ),
    "neuron": (nn.Identity, lambda m, s: 1 - s + m.embedding),
    "norm of spikes": (nn.Identity, lambda m, s: each_step(m.norm, s + (1 - s) * 0.5) * 2),
    "norm, then conv": (
        lambda: nn.Conv2d(C, 6, 3, padding=1),
        lambda m, s: each_step(m.layer, each_step(m.norm, s)),
    ),
    "embedding": (lambda: nn.Conv2d(C, C, 3, padding=1), embedded),
    "tokens": (lambda: nn.Linear(C, C), tokens),
    "product": (nn.Identity, lambda m, s: (1 - s) * s.transpose(-1, -2) * 2),
}


def dyadic(model: nn.Module) -> None:
    """Weights in eighths, and live."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randint(-12, 14, p.shape) / 8)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.copy_(torch.randint(-2, 3, (C,)) / 8)
                m.running_var.fill_(0.25)
                m.eps = 0.0


def both(model: nn.Module, x: np.ndarray, high: int = 1) -> tuple[g.Graph, np.ndarray]:
    """The neuron form and torch's output [K, T, ...], which graph and neuron form give as well."""
    graph = to_graph(export(model.eval(), torch.zeros(T, 1, *x.shape[2:])))
    low = lower(graph, high)
    check_graph(low)
    assert not low.of_type(g.BatchNorm)
    with torch.no_grad():
        wanted = model(torch.tensor(x, dtype=torch.float32).transpose(0, 1)).transpose(0, 1).numpy()
    assert 0.02 < wanted.mean() < 0.98
    for made in (graph, low):
        np.testing.assert_array_equal(run(made, x)["output"], wanted)
    return low, wanted


@pytest.mark.parametrize("case", CASES)
def test_a_constant_stays(case: str) -> None:
    make, middle = CASES[case]
    torch.manual_seed(5)
    model = Model(make(), middle)
    dyadic(model)
    x = np.random.default_rng(0).integers(0, 2, (4, T, C, SIZE, SIZE)).astype(float)
    low, wanted = both(model, x)
    np.testing.assert_array_equal(integers(low, x), wanted.reshape(4, T, -1))


def integers(low: g.Graph, x: np.ndarray) -> np.ndarray:
    """Spikes of the last neurons as the Program has them [K, T, n]."""
    quantized = quantize(low, x.astype(np.int64))
    program = compile_program(quantized.program, load_target("loihi")).program
    spikes = ReferenceBackend().layers(program, x.astype(np.int64))["last"]
    return spikes.reshape(*x.shape[:2], -1)


@pytest.mark.parametrize(("padding", "groups"), [(0, 1), (1, 1), (2, 3)])
def test_a_normalized_image(padding: int, groups: int) -> None:
    """(x / 255 - mean) / std before the first layer, as torchvision writes it."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.5, 0.4, 0.6], [0.2, 0.25, 0.3]))

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3, padding=padding, groups=groups)
            self.norm, self.last = nn.BatchNorm2d(6), lif()

        def forward(self, x: Tensor) -> Tensor:
            x = (x / 255 - mean) / std
            made: Tensor = self.last(each_step(self.norm, each_step(self.conv, x)) * 8)
            return made

    torch.manual_seed(2)
    x = np.random.default_rng(1).integers(0, 256, (3, T, 3, SIZE, SIZE)).astype(float)
    low, wanted = both(Image(), x, high=255)
    (conv,) = low.of_type(g.Conv2d)
    assert isinstance(conv.op, g.Conv2d)
    assert conv.op.bias.ndim == (3 if padding else 1)
    assert (integers(low, x) == wanted.reshape(3, T, -1)).mean() > 0.95


def test_a_read_out_that_keeps_the_axis_of_time() -> None:
    """[1, 1, F] after the mean of the steps: a second mean over axis 0 mixes no samples."""
    torch.manual_seed(0)

    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.head = lif(), nn.Linear(C * SIZE**2, 3)

        def forward(self, x: Tensor) -> Tensor:
            mean = self.last(x * 3).mean(0, keepdim=True)
            made: Tensor = self.head(mean.flatten(2)).mean(0)
            return made

    model = Kept().eval()
    x = np.random.default_rng(0).integers(0, 2, (2, T, C, SIZE, SIZE)).astype(float)
    graph = to_graph(export(model, torch.zeros(T, 1, C, SIZE, SIZE)))
    with torch.no_grad():
        wanted = model(torch.tensor(x, dtype=torch.float32).transpose(0, 1)).numpy()
    found = readout(graph, run(graph, x)["output"]).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.ptp(wanted) > 0.1
