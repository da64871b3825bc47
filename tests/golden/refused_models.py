"""Models that are wrong in one way each, written as users write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from norse.torch import LIFBoxCell
from torch import Tensor, nn
from torch.nn import functional

from sfx.frontends.neurons.multistep import MultiStep

T, C, SIZE = 4, 4, 6
Step = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Convolution, neurons, and `middle` between them and the read-out, of x [T, B, C, 6, 6]."""

    def __init__(self, middle: Step, layer: nn.Module | None = None, shown: int = 0) -> None:
        super().__init__()
        self.conv, self.lif = nn.Conv2d(C, C, 3, padding=1), MultiStep(LIFBoxCell())
        self.layer = layer or nn.Identity()
        self.head = nn.Linear(C * SIZE**2, 3)
        self.middle, self.shown = middle, shown
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("times", torch.rand(T, 1, C, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.shown:
            x = x.unsqueeze(0).repeat(self.shown, 1, 1, 1, 1)
        spikes = self.lif(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        made: Tensor = self.middle(self, spikes)
        return self.head(made.flatten(2)).mean(0) if made.dim() == 5 else made


class NoNeuron(Net):
    """With ReLU and GELU where neurons should be."""

    def __init__(self, shown: int) -> None:
        super().__init__(lambda net, x: x, shown=shown)
        self.lif = nn.Sequential(nn.ReLU(), nn.GELU())  # type: ignore[assignment]  # no neuron


class ImageNet(nn.Module):
    """Takes [B, C, 6, 6], but is exported as if it took all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(C, C, 3), nn.Linear(C * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.conv(x).flatten(1))
        return made


def own_neuron(net: Net, x: Tensor) -> Tensor:
    v, out = torch.zeros_like(x[0]), []
    for t in range(x.shape[0]):
        v = v * 0.5 + x[t]
        fired = (v > 1).float()
        v = v * (1 - fired)
        out.append(fired)
    return torch.stack(out)


def counted(net: Net, x: Tensor) -> Tensor:
    net.calls += 1
    return x


def halves(net: Net, x: Tensor) -> Tensor:
    first, second = x.chunk(2, 0)
    return torch.cat([second, first], 0)


def pooled_steps(x: Tensor) -> Tensor:
    return functional.max_pool3d(x.transpose(0, 1), (3, 1, 1), 1, (1, 0, 0)).transpose(0, 1)


def attention(net: Net, x: Tensor) -> Tensor:
    q = x.flatten(3)
    return functional.scaled_dot_product_attention(q, q, q).view_as(x)


def steps(layer: nn.Module, x: Tensor) -> Tensor:
    made: Tensor = layer(x.flatten(0, 1))
    return made.unflatten(0, x.shape[:2])


@dataclass(frozen=True)
class Case:
    """A model, what it takes and why it is refused."""

    why: str
    make: Callable[[], nn.Module]
    input_layout: str = "TB"


def net(middle: Step, layer: Callable[[], nn.Module] = nn.Identity) -> Callable[[], nn.Module]:
    return lambda: Net(middle, layer())


CASES = (
    Case("an activation without spikes", net(lambda n, x: torch.relu(n.conv.bias.sum() + x))),
    Case("a neuron written out in forward()", net(own_neuron)),
    Case("parts of the steps", net(halves)),
    Case("time reversed", net(lambda n, x: x.flip(0))),
    Case("channels sorted", net(lambda n, x: x.sort(2).values)),
    Case("a neuron behind the mean of the steps", net(lambda n, x: n.lif(x.mean(0, True)))),
    Case("a mean over the samples", net(lambda n, x: x - x.mean(1, True))),
    Case("noise", net(lambda n, x: x + torch.rand_like(x))),
    Case("a cast to integers", net(lambda n, x: x.long().float())),
    Case("the steps in halves", net(lambda n, x: x[2:])),
    Case("a convolution over time", net(
        lambda n, x: n.layer(x.permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4),
        lambda: nn.Conv3d(C, C, 3, padding=1))),
    Case("batch norm of the batch", net(
        lambda n, x: steps(n.layer, x), lambda: nn.BatchNorm2d(C, track_running_stats=False))),
    Case("group norm", net(lambda n, x: steps(n.layer, x), lambda: nn.GroupNorm(2, C))),
    Case("one stream divided by another", net(lambda n, x: x / (x.sum(2, True) + 1))),
    Case("a time embedding", net(lambda n, x: x + n.times)),
    Case("a layer behind the largest of the steps", net(lambda n, x: n.head(x.flatten(2).amax(0)))),
    Case("steps weighed and not added", net(lambda n, x: x * n.times.mean(2, True))),
    Case("NumPy in forward()", net(lambda n, x: torch.from_numpy(x.detach().numpy()))),
    Case("a layer made in forward()", net(lambda n, x: steps(nn.Conv2d(C, C, 1), x))),
    Case("a layer of another size", net(lambda n, x: n.layer(x), lambda: nn.Linear(5, 5))),
    Case("a counter in a buffer", net(counted)),
    Case("an output without the input", net(lambda n, x: torch.ones(1, 3))),
    Case("the largest value of each channel", net(lambda n, x: x.amax((3, 4)))),
    Case("softmax attention", net(attention)),
    Case("a max-pool over time", net(
        lambda n, x: pooled_steps(x))),
    Case("ceil_mode", net(lambda n, x: functional.avg_pool2d(x.flatten(0, 1), 4, ceil_mode=True))),
    Case("LSTM", net(
        lambda n, x: n.layer(x.flatten(2))[0], lambda: nn.LSTM(C * SIZE**2, 8))),
    Case("a model of images", ImageNet),
    Case("an image shown for 1 step, no neuron", lambda: NoNeuron(1), "B"),
    Case("an image shown for 4 steps, no neuron", lambda: NoNeuron(4), "B"),
    Case("an image, layer norm", lambda: Net(
        lambda n, x: n.layer(x), nn.LayerNorm(SIZE), 4), "B"),
    Case("an image for 1 step, softmax", lambda: Net(lambda n, x: x.softmax(2), shown=1), "B"),
    Case("an image, a neuron written out", lambda: Net(own_neuron, shown=4), "B"),
)  # fmt: skip
