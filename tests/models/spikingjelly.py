"""Models as SpikingJelly's documentation, model zoo and users write them (activation_based)."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from tests.models.case import Cases

try:
    from spikingjelly.activation_based.model.sew_resnet import sew_function
except (ImportError, RuntimeError):  # it imports torchvision, which must fit torch
    sew_function = None

CASES = Cases()


@CASES.add(4, 1, 4, 4, input_layout="step")
class LifFcMnist(nn.Module):
    """Tutorial "single fully connected layer": the caller loops over the steps."""

    def __init__(self, tau: float = 2.0) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            layer.Flatten(),
            layer.Linear(4 * 4, 10, bias=False),
            neuron.LIFNode(tau=tau, surrogate_function=surrogate.ATan()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


@CASES.add(4, 1, 8, 8, input_layout="B")
class CSNN(nn.Module):
    """Tutorial "convolutional SNN for Fashion-MNIST": the image is repeated, the rate read."""

    def __init__(self, T: int = 4, channels: int = 4) -> None:
        super().__init__()
        self.T = T
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Flatten(),
            layer.Linear(channels * 2 * 2, 8, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(8, 5, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        x_seq = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)
        return self.conv_fc(x_seq).mean(0)


@CASES.add(5, 6, input_layout="B")
class OwnLoopOverAnImage(nn.Module):
    """The loop of the first tutorials, moved into forward(), with reset_net before it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 8), neuron.IFNode(), nn.Linear(8, 3), neuron.LIFNode(tau=2.0)
        )

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        counter = 0.0
        for t in range(5):
            if t == 0:
                counter = self.net(x)
            else:
                counter += self.net(x)
        return counter / 5


@CASES.add(5, 6)
class OwnLoopOverFrames(nn.Module):
    """x [T, B, ...] taken step by step, spikes stacked."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)
        self.lif1, self.lif2 = neuron.LIFNode(tau=2.0), neuron.IFNode(v_reset=None)

    def forward(self, x: Tensor) -> Tensor:
        out = []
        for t in range(x.shape[0]):
            out.append(self.lif2(self.fc2(self.lif1(self.fc1(x[t])))))
        return torch.stack(out)


@CASES.add(5, 6, input_layout="BT")
class SamplesFirst(nn.Module):
    """x [B, T, ...], as a DataLoader gives it, turned around in forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = layer.Linear(6, 8, step_mode="m")
        self.lif = neuron.LIFNode(tau=2.0, step_mode="m")
        self.out = layer.Linear(8, 3, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        y = self.out(self.lif(self.fc(x.transpose(0, 1))))
        return y.sum(0)


@CASES.add(4, 2, 6, 6)
class Containers(nn.Module):
    """SeqToANNContainer around torch's layers; the neurons in multi-step mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layer.SeqToANNContainer(
            nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        )
        self.sn = neuron.LIFNode(tau=2.0, step_mode="m", detach_reset=True)
        self.pool = layer.SeqToANNContainer(nn.AvgPool2d(2), nn.Flatten())
        self.fc = layer.SeqToANNContainer(nn.Linear(4 * 9, 5))
        self.end = neuron.LIFNode(tau=2.0, step_mode="m", detach_reset=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.fc(self.pool(self.sn(self.stem(x)))))


@CASES.add(4, 6)
class StepContainers(nn.Module):
    """MultiStepContainer of single-step parts, and StepModeContainer of stateless ones."""

    def __init__(self) -> None:
        super().__init__()
        self.a = layer.MultiStepContainer(nn.Linear(6, 8), neuron.IFNode())
        self.b = layer.StepModeContainer(False, nn.Linear(8, 8), nn.Identity())
        self.n = neuron.LIFNode(tau=2.0, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.b(self.a(x)))


@CASES.add(4, 2, 6, 6)
class SeqToAnn(nn.Module):
    """functional.seq_to_ann_forward and multi_step_forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)
        self.sn, self.fc, self.end = neuron.IFNode(), nn.Linear(36, 3), neuron.IFNode(v_reset=None)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.seq_to_ann_forward(x, [self.conv, self.bn])
        y = functional.multi_step_forward(y, self.sn)
        y = functional.seq_to_ann_forward(y.flatten(2), self.fc)
        return functional.multi_step_forward(y, [self.end])


@CASES.add(4, 2, 8, 8)
class GestureNet(nn.Module):
    """DVSGestureNet of the PLIF paper, small: dropout, PLIF and a voting layer."""

    def __init__(self) -> None:
        super().__init__()
        conv: list[nn.Module] = []
        for i in range(2):
            conv += [
                layer.Conv2d(4 if i else 2, 4, kernel_size=3, padding=1, bias=False),
                layer.BatchNorm2d(4),
                neuron.ParametricLIFNode(init_tau=2.0, surrogate_function=surrogate.ATan()),
                layer.MaxPool2d(2, 2),
            ]
        self.conv_fc = nn.Sequential(
            *conv,
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(16, 8),
            neuron.ParametricLIFNode(init_tau=2.0),
            layer.Dropout(0.5),
            layer.Linear(8, 20),
            neuron.ParametricLIFNode(init_tau=2.0),
            layer.VotingLayer(4),
        )
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_fc(x)


class SewBlock(nn.Module):
    """SEW ResNet's block: spikes of the branch and of the shortcut, added or combined."""

    def __init__(self, channels: int, cnf: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = (
            layer.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.Identity(),
        )
        self.sn1 = neuron.IFNode()
        self.conv2, self.bn2 = layer.Conv2d(channels, channels, 3, padding=1), nn.Identity()
        self.sn2 = neuron.IFNode()
        self.cnf = cnf

    def forward(self, x: Tensor) -> Tensor:
        out = self.sn1(self.bn1(self.conv1(x)))
        out = self.sn2(self.bn2(self.conv2(out)))
        return sew_function(x, out, self.cnf)


class SewNet(nn.Module):
    """A stem, two blocks, global average pool and a linear read-out: its mean over T."""

    def __init__(self, cnf: str) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(2, 3, 3, padding=1)
        self.sn1 = neuron.IFNode()
        self.layer1 = nn.Sequential(SewBlock(3, cnf), SewBlock(3, cnf))
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.fc = layer.Linear(3, 4)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        y = self.avgpool(self.layer1(self.sn1(self.conv1(x))))
        return self.fc(torch.flatten(y, 2)).mean(0)


if sew_function is not None:
    CASES.each("SEW ResNet", SewNet, 4, 2, 4, 4,
               options={c: {"cnf": c} for c in ("ADD", "AND", "IAND")})  # fmt: skip


@CASES.add(4, 2, 4, 4)
class SpikingResNet(nn.Module):
    """Spiking ResNet's block: currents of the shortcut added before the neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer.Conv2d(2, 3, 3, padding=1), neuron.LIFNode(tau=2.0))
        self.conv1 = layer.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1, self.sn1 = layer.BatchNorm2d(4), neuron.LIFNode(tau=2.0)
        self.conv2, self.bn2 = layer.Conv2d(4, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4)
        self.downsample = nn.Sequential(
            layer.Conv2d(3, 4, 1, stride=2, bias=False), layer.BatchNorm2d(4)
        )
        self.sn2 = neuron.LIFNode(tau=2.0)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x)))))
        out += self.downsample(x)
        return self.sn2(out)


class Hooked(nn.Module):
    """Hooks on a layer and on a neuron, or one that records spikes."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc1, self.n1 = layer.Linear(6, 8), neuron.IFNode()
        self.fc2, self.n2 = layer.Linear(8, 8), neuron.IFNode()
        functional.set_step_mode(self, "m")
        if how == "pre-hook of a neuron":
            self.n2.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
        elif how == "hook of a layer":
            self.fc1.register_forward_hook(lambda m, args, out: out / 2 + 0.25)
        elif how == "hook of a neuron":
            self.n1.register_forward_hook(lambda m, args, out: out * 2)
        else:
            self.records: list[Tensor] = []  # what the library's monitors do
            for n in (self.n1, self.n2):
                n.register_forward_hook(lambda m, args, out: self.records.append(out.detach()))

    def forward(self, x: Tensor) -> Tensor:
        return self.n2(self.fc2(self.n1(self.fc1(x))))


CASES.each("hooks", Hooked, 5, 6, options={h: {"how": h} for h in (
    "pre-hook of a neuron", "hook of a layer", "hook of a neuron", "monitor")})  # fmt: skip


class Shared(nn.Module):
    """A linear layer that is used more than once, under one name or more."""

    def __init__(self, how: str) -> None:
        super().__init__()
        first = layer.Linear(6, 6)
        second = first if how in ("two names", "twice") else layer.Linear(6, 6)
        if how == "tied":
            second.weight = first.weight
        self.layers = nn.ModuleList([first] * 3 if how == "list" else [first, first, second])
        if how != "list":
            self.a, self.b = first, second
        self.neurons = nn.ModuleList(neuron.LIFNode(tau=2.0) for _ in range(3))
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        for fc, n in zip(self.layers, self.neurons, strict=True):
            x = n(fc(x))
        return x


CASES.each("shared layers", Shared, 5, 6,
           options={h: {"how": h, "_seed": 0 if h == "tied" else 1}
                    for h in ("two names", "list", "tied")})  # fmt: skip


@CASES.add(5, 6)
class ReadsItsNeurons(nn.Module):
    """forward() looks at the class and the constants of its neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.ModuleList([layer.Linear(6, 8, step_mode="m"),
                                    neuron.IFNode(v_threshold=2.0, step_mode="m"),
                                    layer.Linear(8, 4, step_mode="m"),
                                    neuron.IFNode(v_threshold=0.5, step_mode="m")])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        for part in self.stack:
            x = part(x * part.v_threshold) if isinstance(part, neuron.BaseNode) else part(x)
        return x / len(x)


@CASES.add(1, 6)
class OneStep(nn.Module):
    """T = 1, with len(x) in forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.n = layer.Linear(6, 8, step_mode="m"), neuron.IFNode(step_mode="m")
        self.out = layer.Linear(8, 3, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.n(self.fc(x) / x.shape[0])).sum(0) / len(x)


@CASES.add(5, 6)
class Counts(nn.Module):
    """Spikes are counted and the votes of a class averaged; the membranes are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.n1 = layer.Linear(6, 8), neuron.LIFNode(tau=2.0, store_v_seq=True)
        self.fc2, self.n2 = layer.Linear(8, 8), neuron.IFNode(store_v_seq=True)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        y = self.n2(self.fc2(self.n1(self.fc1(x))))
        return y.sum(dim=0).view(x.shape[1], 4, 2).sum(-1)


@CASES.add(3, 2, 4, 4, high=4)
class PoolsCounts(nn.Module):
    """A max-pool of event counts before the first weights."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            layer.MaxPool2d(2), layer.Flatten(), layer.Linear(8, 6), neuron.IFNode(v_threshold=3.0)
        )
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TwoLayers(nn.Module):
    """fc, neuron, fc, neuron: for every class and option of a neuron."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        cls = getattr(neuron, kind)
        start = options.pop("start", None)
        self.net = nn.Sequential(
            layer.Linear(6, 8), cls(**options), layer.Linear(8, 4), cls(**options)
        )
        functional.set_step_mode(self, "m")
        for m in self.net if start is not None else ():
            if isinstance(m, neuron.BaseNode):
                m.set_reset_value("v", start)
                m.reset()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


LIF, PLIF = {"kind": "LIFNode", "tau": 2.0}, {"kind": "ParametricLIFNode", "init_tau": 2.0}
CASES.each("neuron", TwoLayers, 6, 6, options={
    "IF": {"kind": "IFNode"},
    "IF soft": {"kind": "IFNode", "v_reset": None},
    "IF from -1/2": {"kind": "IFNode", "v_reset": -0.5},
    "IF at 3/4": {"kind": "IFNode", "v_threshold": 0.75, "detach_reset": True},
    "IF at 0.3": {"kind": "IFNode", "v_threshold": 0.3},
    "IF started": {"kind": "IFNode", "start": 0.5},
    "LIF": LIF,
    "LIF tau 4": LIF | {"tau": 4.0, "v_threshold": 0.5, "_exact": False},
    "LIF tau 3": LIF | {"tau": 3.0, "v_threshold": 0.5, "_exact": False},
    "LIF soft": LIF | {"v_reset": None},
    "LIF to 1/4": LIF | {"v_reset": 0.25},
    "LIF whole input": LIF | {"decay_input": False},
    "LIF whole input, soft": LIF | {"decay_input": False, "v_reset": None},
    "LIF whole input from -1/2": LIF | {"decay_input": False, "v_reset": -0.5},
    "PLIF": PLIF,
    "PLIF soft": PLIF | {"v_reset": None},
    "PLIF whole input": PLIF | {"decay_input": False},
    "ATan": LIF | {"surrogate_function": surrogate.ATan()},
    "PLIF ATan": PLIF | {"surrogate_function": surrogate.ATan(alpha=4.0)},
    "PLIF piecewise leaky ReLU": PLIF | {"surrogate_function": surrogate.PiecewiseLeakyReLU()},
    "PLIF piecewise quadratic": PLIF | {"surrogate_function": surrogate.PiecewiseQuadratic()},
    "PLIF erf": PLIF | {"surrogate_function": surrogate.Erf()},
})  # fmt: skip
