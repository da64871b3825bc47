"""Nets built around one operation each, whose numbers are all representable: at every neuron, step
and sample the Program's spikes are torch's own, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

from torch import Tensor, nn  # noqa: E402  (after importorskip)
from torch.nn import functional as F  # noqa: E402

import sfx  # noqa: E402
from sfx.backends.base import align  # noqa: E402
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons.multistep import lif  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.compiler.compile import compile_graph  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.representable import make_representable  # noqa: E402

SAMPLES, STEPS = 3, 4
Part = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """A stem of spikes [T, B, 8, 6, 6], one operation on them, and a head.

    The operation may use conv (8 to 8), wide (8 to 12), neuron2 and neuron3.
    """

    def __init__(self, part: Part, channels: int, plane: int, **layers: nn.Module) -> None:
        super().__init__()
        self.part = part
        self.stem = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.lif1 = lif(2.0, 0.5)
        self.lif2 = lif(2.0, 0.5)
        self.lif3 = lif(2.0, 0.5)
        self.layers = nn.ModuleDict(layers)
        self.after = nn.Conv2d(channels, 4, 3, padding=1)
        self.last = lif(2.0, 0.5)
        self.head = nn.Linear(4 * plane, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.over(self.lif1, self.each(lambda s: self.bn(self.stem(s)), x))
        y = self.part(self, y)
        y = self.last(self.each(self.after, y))
        return self.head(y.flatten(2)).mean(0)

    def each(self, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """A layer on every step: [T, B, ...]."""
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def over(self, neuron: nn.Module, x: Tensor) -> Tensor:
        return neuron(x)

    def __getitem__(self, name: str) -> nn.Module:
        return self.layers[name]


def conv(inner: int, outer: int, kernel: int = 1, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, **options)


NETS: dict[str, Callable[[], Net]] = {}


def net(channels: int, plane: int = 36, **layers: Callable[[], nn.Module]):
    """Register a net around the decorated operation."""

    def register(part: Part) -> Part:
        def build() -> Net:
            return Net(part, channels, plane, **{k: make() for k, make in layers.items()})

        NETS[part.__name__] = build
        return part

    return register


@net(4)
def channel_slice(m, y):
    return y[:, :, 2:6]


@net(4)
def strided_channels(m, y):
    return y[:, :, ::2]


@net(4)
def split_spikes(m, y):
    a, b = y.chunk(2, dim=2)
    return a + b


@net(8, qk=lambda: conv(8, 16))
def split_of_currents(m, y):
    q, k = m.each(m["qk"], y).split(8, dim=2)
    return m.lif2(q) * m.lif3(k)


@net(8, qkv=lambda: conv(8, 24))
def split_heads(m, y):
    """q, k, v out of one layer and one neuron, heads apart: the way of timm."""
    t, b, c, h, w = y.shape
    qkv = m.lif2(m.each(m["qkv"], y)).flatten(3).transpose(2, 3)  # T B N 3C
    q, k, v = qkv.reshape(t, b, h * w, 3, 2, c // 2).permute(3, 0, 1, 4, 2, 5).unbind(0)
    y = q @ (k.transpose(-1, -2) @ v) * 0.125
    return m.lif3(y.transpose(-1, -2).reshape(t, b, c, h, w))


@net(12, other=lambda: conv(8, 4))
def cat_of_spikes(m, y):
    return torch.cat([y, m.lif2(m.each(m["other"], y))], dim=2)


@net(12, other=lambda: conv(8, 4), own=lambda: conv(8, 8, 3, padding=1))
def cat_of_currents(m, y):
    both = torch.cat([m.each(m["own"], y), m.each(m["other"], y)], dim=2)
    return m.lif2(both)


@net(4, other=lambda: conv(8, 4), mix=lambda: conv(12, 4), norm=lambda: nn.BatchNorm2d(12))
def cat_norm_conv(m, y):
    both = torch.cat([y, m.lif2(m.each(m["other"], y))], dim=2)
    return m.lif3(m.each(lambda s: m["mix"](m["norm"](s)), both))


@net(4, mix=lambda: nn.Conv2d(8, 4, 3))
def uneven_pad(m, y):
    return m.lif2(m.each(m["mix"], F.pad(y, (2, 0, 1, 1))))


@net(4, mix=lambda: nn.Conv2d(8, 4, 2, padding="same"))
def even_same(m, y):
    return m.lif2(m.each(m["mix"], y))


@net(4, mix=lambda: nn.Conv2d(8, 4, 3), norm=lambda: nn.BatchNorm2d(8))
def pad_of_ones(m, y):
    return m.lif2(m.each(lambda s: m["mix"](F.pad(s, (1, 1, 1, 1), value=1.0)), y))


@net(4, mix=lambda: nn.Conv2d(8, 4, 3))
def reflected(m, y):
    return m.lif2(m.each(lambda s: m["mix"](F.pad(s, (1, 1, 1, 1), mode="reflect")), y))


@net(
    4,
    norm=lambda: nn.BatchNorm2d(8),
    first=lambda: conv(8, 8, bias=False),
    deep=lambda: conv(8, 8, 3, groups=8, bias=False),
    last=lambda: conv(8, 4),
)
def border_of_a_norm(m, y):
    """RepConv of Spike-driven Transformer V2: the border is written over by the norm of 0."""

    def rep(s):
        norm = m["norm"]
        z = norm(m["first"](s))
        value = norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var)
        z = F.pad(z, [1] * 4)
        z[:, :, 0:1, :] = value.view(1, -1, 1, 1)
        z[:, :, -1:, :] = value.view(1, -1, 1, 1)
        z[:, :, :, 0:1] = value.view(1, -1, 1, 1)
        z[:, :, :, -1:] = value.view(1, -1, 1, 1)
        return m["last"](m["deep"](z))

    return m.lif2(m.each(rep, y))


@net(8, 9)
def crop(m, y):
    return y[..., 1:4, 2:5]


@net(8, 144)
def upsampled(m, y):
    return m.each(lambda s: F.interpolate(s, scale_factor=2, mode="nearest"), y)


@net(2, 144)
def shuffled(m, y):
    return m.each(lambda s: F.pixel_shuffle(s, 2), y)


@net(32, 9)
def unshuffled(m, y):
    return m.each(lambda s: F.pixel_unshuffle(s, 2), y)


@net(4, 6, mix=lambda: nn.Conv2d(8, 4, 4))
def crop_before_conv(m, y):
    return m.lif2(m.each(m["mix"], y[..., :, 1:]))


@net(4, 9, mix=lambda: nn.Conv2d(8, 4, 3, padding=1))
def strided_currents(m, y):
    return m.lif2(m.each(m["mix"], y)[..., 1::2, ::2])


@net(4, 144, mix=lambda: nn.Conv2d(8, 4, 3, padding=1))
def upsampled_conv(m, y):
    return m.lif2(m.each(lambda s: m["mix"](F.interpolate(s, scale_factor=2)), y))


@net(4, mix=lambda: nn.Conv2d(8, 4, 2, padding=1))
def uneven_upsampled_conv(m, y):
    """A window of 2 behind the upsampling: 13 x 13, of which one row and column are cut off."""
    return m.lif2(m.each(lambda s: m["mix"](F.interpolate(s, scale_factor=2)), y)[..., 1:7, :6])


@net(4, 144, up=lambda: nn.ConvTranspose2d(8, 4, 2, stride=2))
def transposed(m, y):
    return m.lif2(m.each(m["up"], y))


@net(4, 169, up=lambda: nn.ConvTranspose2d(8, 4, 3, 2, 1, 0, groups=2), mix=lambda: conv(8, 8))
def uneven_transposed(m, y):
    """11 rows of 12, then padded; groups."""
    z = F.pad(m.each(m["up"], m.lif2(m.each(m["mix"], y))), (1, 1, 1, 1))
    return m.lif3(z)


@net(8)
def max_pool_of_planes(m, y):
    return F.max_pool3d(y, (1, 3, 3), (1, 1, 1), (0, 1, 1))


@net(8, 16)
def ceil_mode(m, y):
    return m.each(lambda s: F.max_pool2d(s[..., 1:, 1:], 2, ceil_mode=True)[..., :, :], y)[
        ..., :3, :3
    ].repeat(1, 1, 1, 2, 2)[..., :4, :4]


@net(4, 9, mix=lambda: conv(8, 4))
def ceil_mode_of_currents(m, y):
    return m.lif2(m.each(lambda s: F.max_pool2d(m["mix"](s)[..., 1:, 1:], 2, ceil_mode=True), y))


@net(8)
def flipped(m, y):
    return y.flip(-1) + y.roll(1, dims=-2)


@net(4, mix=lambda: nn.Linear(72, 4))
def windows(m, y):
    t, b, _, h, w = y.shape
    columns = m.each(lambda s: F.unfold(s, 3, padding=1), y).transpose(2, 3)
    return m.lif2(m["mix"](columns)).transpose(2, 3).reshape(t, b, 4, h, w)


@net(8, 9, mix=lambda: nn.Linear(4, 1))
def windows_of_tokens(m, y):
    w = y.unfold(3, 2, 2).unfold(4, 2, 2)
    return m.lif2(m["mix"](w.flatten(5)).squeeze(-1))


@net(
    4,
    norm=lambda: nn.BatchNorm2d(8),
    one=lambda: conv(8, 8, bias=False),
    three=lambda: conv(8, 4, 3, padding=1),
)
def layers_of_windows(m, y):
    """Windows beside the samples: convolutions and norms see each of the four by itself."""
    t, b, c, h, w = y.shape
    z = y.reshape(t, b, c, 2, 3, 2, 3).permute(0, 1, 3, 5, 2, 4, 6).reshape(t, b * 4, c, 3, 3)
    z = m.lif2(m.each(lambda s: m["norm"](m["one"](s)), z))
    z = m.lif3(m.each(m["three"], z))
    z = z.reshape(t, b, 2, 2, 4, 3, 3).permute(0, 1, 4, 2, 5, 3, 6)
    return z.reshape(t, b, 4, h, w)


@net(8)
def repeats_and_constants(m, y):
    """1 - spikes, a mean that is taken off, a scalar bias, gains of any sign and size."""
    centred = y - y.mean(2, keepdim=True)
    z = m.lif2(centred * 2 + 0.25)
    return (1 - z) * 3 - 5 * y + m.lif3(y * 2 - z + 0.5)


@net(8, 9)
def pooled_sums_of_whole_weights(m, y):
    return m.each(lambda s: F.max_pool2d(s * 3 - s.roll(1, 1) * 7, 2), y)


@net(8)
def windows_apart(m, y):
    """Attention inside of windows of 3x3 pixels, which a view puts beside the samples."""
    t, b, c, h, w = y.shape
    z = y.reshape(t, b, c, 2, 3, 2, 3).permute(0, 1, 3, 5, 4, 6, 2).reshape(t, b * 4, 9, c)
    z = m.lif2(z @ (z.transpose(-1, -2) @ z) * 0.25)
    z = z.reshape(t, b, 2, 2, 3, 3, c).permute(0, 1, 6, 2, 4, 3, 5)
    return z.reshape(t, b, c, h, w)


@pytest.mark.parametrize("name", NETS)
def test_program_spikes_are_torch_spikes(name: str) -> None:
    model, x, truth = _alive(NETS[name])
    assert _equal(model, x, truth, truth.pop("logits")) > 500


def _alive(build: Callable[[], Net]) -> tuple[Net, np.ndarray, dict[str, np.ndarray]]:
    """The first of 30 draws of weights and events at which every neuron layer fires."""
    for seed in range(30):
        torch.manual_seed(seed)
        model = make_representable(build(), seed, 2.0)
        x = (np.random.default_rng(seed).random((SAMPLES, STEPS, 2, 6, 6)) < 0.4).astype(np.int64)
        truth = _torch(model, x)
        if all(0.005 < v.mean() < 0.995 for k, v in truth.items() if k != "logits"):
            return model, x, truth
    pytest.fail("no draw at which every neuron layer fires")


def _torch(model: Net, x: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes [K, T, n] of each neuron that runs, by path, and `logits` [K, classes]."""
    found: dict[str, np.ndarray] = {}
    neurons = [(n, m) for n, m in model.named_children() if n.startswith(("lif", "last"))]

    def keep(name: str) -> Callable[[object, object, Tensor], None]:
        def hook(module: object, inputs: object, made: Tensor) -> None:
            found[name] = made.reshape(STEPS, len(x), -1).transpose(0, 1).numpy()

        return hook

    handles = [m.register_forward_hook(keep(n)) for n, m in neurons]
    with torch.no_grad():
        found["logits"] = model(torch.from_numpy(x).float().transpose(0, 1)).numpy()
    for handle in handles:
        handle.remove()
    return found


def _equal(model: Net, x: np.ndarray, truth: dict[str, np.ndarray], logits: np.ndarray) -> int:
    example = torch.zeros(STEPS, 1, 2, 6, 6)
    graph = to_graph(export(model, example))
    compiled = compile_graph(graph, load_target("loihi"), x)
    inexact = [r for r in compiled.records if not r.exact]
    assert not inexact, inexact
    program = compiled.placed.program
    stream = ReferenceBackend().stream(program, x)
    compared = 0
    seen = set()
    for node in compiled.graph.of_type(g.LIF):
        spikes, p = truth[node.module], program[node.name]
        if node.part is not None:
            whole = graph[node.part.whole].shape
            spikes = node.part.of(spikes.reshape(len(x), STEPS, *whole), lead=2)
        mine = align(stream.spikes[p.name], p.phase, len(x), STEPS)
        assert np.array_equal(mine.reshape(spikes.shape), spikes), node.name
        compared += mine.size
        seen.add(node.module)
    assert seen == set(truth)
    result = ReferenceBackend().run(program, x)
    np.testing.assert_allclose(result.sums / program.readout.scale, logits, atol=1e-6)
    quick = FastBackend().run(program, x)
    assert np.array_equal(quick.sums, result.sums)
    for p in program:
        assert np.array_equal(quick.counts.events[p.name], result.counts.events[p.name]), p.name
    return compared


def _first(x: Tensor, layer: nn.Module) -> Tensor:
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


REPEATS: dict[str, Callable[[Tensor], Tensor]] = {
    "repeat": lambda x: x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1),
    "repeat of fewer axes": lambda x: x.repeat(STEPS, 1, 1, 1, 1),
    "expand": lambda x: x.unsqueeze(0).expand(STEPS, -1, -1, -1, -1),
    "expand of fewer axes": lambda x: x.expand(STEPS, *x.shape),
    "broadcast": lambda x: torch.broadcast_to(x, (STEPS, *x.shape)),
    "stack": lambda x: torch.stack([x] * STEPS),
    "stack behind": lambda x: torch.stack([x] * STEPS, 1).transpose(0, 1),
    "cat": lambda x: torch.cat([x.unsqueeze(0)] * STEPS),
    "zeros": lambda x: torch.zeros(STEPS, *x.shape) + x,
    "ones": lambda x: x * torch.ones(STEPS, 1, 1, 1, 1),
    "tile": lambda x: torch.tile(x, (STEPS, 1, 1, 1, 1)),
}
"""Ways in which models show an image [B, C, H, W] at each of their steps."""


class Shown(nn.Module):
    def __init__(self, show: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.show, self.conv = show, nn.Conv2d(3, 8, 3, padding=1)
        self.lif1, self.head = lif(2.0, 0.5), nn.Linear(8 * 36, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.lif1(_first(self.show(x), self.conv))
        return self.head(y.flatten(2)).mean(0)


@pytest.mark.parametrize("way", REPEATS)
def test_every_way_to_show_an_image(way: str) -> None:
    """The graph is that of `repeat`, whose spikes torch is compared with at the export."""
    torch.manual_seed(1)
    model = Shown(REPEATS[way]).eval()
    made = sfx.export(model, torch.ones(STEPS, 1, 3, 6, 6), input_layout="B")
    torch.manual_seed(1)
    plain = sfx.export(Shown(REPEATS["repeat"]).eval(), torch.ones(STEPS, 1, 3, 6, 6),
                       input_layout="B")  # fmt: skip
    assert sorted(type(n).__name__ for n in made.nodes.values()) == sorted(
        type(n).__name__ for n in plain.nodes.values()
    )
