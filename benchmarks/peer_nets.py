"""The float nets that `peers.py` quantizes, as users write them: SpikingJelly and snnTorch, no sfx.

    python benchmarks/peer_nets.py NAME mnist.npz          # trains it, writes out/peers/NAME.pt

Batch norm is folded before it is saved, and the scale of the pixels too, so that every library
quantizes the same numbers. Trained on the 60,000 training images; nothing is chosen on test images.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "out" / "peers"
CALIBRATION = 64
BATCH = 128


class Cnn(nn.Module):
    """Two convolutions and two linear layers, SpikingJelly's LIFNode (tau 2, hard reset), T = 4.

    x [T, B, 1, 28, 28], pixels 0..255 at every step.
    """

    def __init__(self) -> None:
        super().__init__()

        def lif() -> nn.Module:
            return neuron.LIFNode(
                tau=2.0, step_mode="m", surrogate_function=surrogate.ATan(), detach_reset=True
            )

        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.fc1, self.fc2 = nn.Linear(16 * 49, 64), nn.Linear(64, 10)
        self.lif1, self.lif2, self.lif3 = lif(), lif(), lif()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 10]: the last layer's mean over the steps."""
        functional.reset_net(self)
        steps = len(x)
        y = self.bn1(self.conv1(x.flatten(0, 1)))
        y = self.pool(self.lif1(y.unflatten(0, (steps, -1))).flatten(0, 1))
        y = self.bn2(self.conv2(y))
        y = self.pool(self.lif2(y.unflatten(0, (steps, -1))).flatten(0, 1))
        y = self.lif3(self.fc1(y.flatten(1)).unflatten(0, (steps, -1)))
        return self.fc2(y).mean(0)

    def fold(self) -> None:
        """Batch norms and the scale of the pixels go into the convolutions."""
        with torch.no_grad():
            for conv, name in ((self.conv1, "bn1"), (self.conv2, "bn2")):
                bn: Any = getattr(self, name)
                factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
                conv.weight.mul_(factor[:, None, None, None])
                conv.bias.copy_((conv.bias - bn.running_mean) * factor + bn.bias)
                setattr(self, name, nn.Identity())
            self.conv1.weight.div_(255)


class Mlp(nn.Module):
    """784-128-10, snnTorch's Leaky as it comes (beta 0.9, the reset subtracts), T = 8.

    x [T, B, 784], pixels above one half at every step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 128), nn.Linear(128, 10)
        self.lif1, self.lif2 = snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        """Mean spikes [B, 10]."""
        mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for step in x:
            spikes, mem1 = self.lif1(self.fc1(step), mem1)
            spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
            out.append(spikes)
        return torch.stack(out).mean(0)

    def fold(self) -> None:
        """Nothing to fold."""


class Rows(nn.Module):
    """A recurrent layer of 64 (snnTorch's RLeaky, all to all) that is shown an image row by row.

    x [28, B, 28], pixels above one half; the answer is the last membrane of a read-out that leaks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(28, 64), nn.Linear(64, 10)
        slope = snn.surrogate.fast_sigmoid(slope=5)
        self.lif1 = snn.RLeaky(
            beta=0.9,
            linear_features=64,
            reset_mechanism="zero",
            reset_delay=False,
            spike_grad=slope,
        )
        self.out = snn.Leaky(beta=0.9, reset_mechanism="none")

    def forward(self, x: Tensor) -> Tensor:
        """Membranes [B, 10]."""
        spikes, mem = self.lif1.init_rleaky()
        held = self.out.init_leaky()
        for step in x:
            spikes, mem = self.lif1(self.fc1(step), spikes, mem)
            _, held = self.out(self.fc2(spikes), held)
        return held

    def fold(self) -> None:
        """Nothing to fold."""


@dataclass(frozen=True)
class Peer:
    """make: the net;  shape: of a sample [T, ...];  gray: pixels as they are, else above one half.

    scale: of the pixels while it is trained;  clip: norm of its gradients, 0: not clipped
    """

    title: str
    make: Callable[[], Any]
    shape: tuple[int, ...]
    gray: bool
    epochs: int
    scale: float = 1.0
    clip: float = 0.0

    def samples(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images [K, 28, 28] as [K, *shape]."""
        x = images if self.gray else (images > 127).astype(np.uint8)
        if self.shape == (28, 28):
            return x
        return np.repeat(x.reshape(len(x), 1, *self.shape[1:]), self.shape[0], axis=1)


PEERS = {
    "cnn": Peer("SpikingJelly CNN", Cnn, (4, 1, 28, 28), gray=True, epochs=2, scale=1 / 255),
    "mlp": Peer("snnTorch MLP, reset subtracts", Mlp, (8, 784), gray=False, epochs=5),
    "rows": Peer("snnTorch, recurrent, row by row", Rows, (28, 28), gray=False, epochs=8, clip=1.0),
}


def load(name: str) -> nn.Module:
    """The trained net, in eval mode."""
    net = PEERS[name].make()
    if name == "cnn":
        net.bn1 = net.bn2 = nn.Identity()
    net.load_state_dict(torch.load(FOLDER / f"{name}.pt", weights_only=True))
    return net.eval()


def split(data: Path, which: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [K, 28, 28] and labels of `train` or `test`."""
    with np.load(data) as file:
        return file[f"x_{which}"], file[f"y_{which}"].astype(np.int64)


def calibration(name: str, data: Path) -> NDArray[np.uint8]:
    """64 training samples, evenly spread: the same for every library."""
    images, _ = split(data, "train")
    return PEERS[name].samples(images[np.arange(CALIBRATION) * len(images) // CALIBRATION])


def right(net: nn.Module, name: str, data: Path) -> int:
    """Test images of 10,000 that a torch net gets right."""
    images, labels = split(data, "test")
    found = 0
    with torch.no_grad():
        for i in range(0, len(labels), 500):
            x = PEERS[name].samples(images[i : i + 500])
            said = net(torch.from_numpy(x).float().transpose(0, 1)).argmax(1).numpy()
            found += int((said == labels[i : i + 500]).sum())
    return found


def learn(name: str, data: Path) -> nn.Module:
    """Adam with one cycle of its rate, cross entropy."""
    peer = PEERS[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = peer.make()
    images, labels = split(data, "train")
    per_epoch = len(labels) // BATCH
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, peer.epochs * per_epoch)
    started = time.process_time()
    for epoch in range(peer.epochs):
        order = np.random.default_rng(epoch).permutation(len(labels))
        for b in range(per_epoch):
            chosen = order[b * BATCH : (b + 1) * BATCH]
            x = torch.from_numpy(peer.samples(images[chosen])).float().transpose(0, 1)
            said = net(x * peer.scale)
            sharp = said * 4 if name == "mlp" else said  # shares of steps are no logits
            loss = nn.functional.cross_entropy(sharp, torch.from_numpy(labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            if peer.clip:
                nn.utils.clip_grad_norm_(net.parameters(), peer.clip)
            optimizer.step()
            rate.step()
        print(f"{name} epoch {epoch + 1}: loss {loss:.3f}, {time.process_time() - started:.0f} s")
    net.eval().fold()
    return net


def main() -> int:
    """Train one net and keep it."""
    if len(sys.argv) != 3 or sys.argv[1] not in PEERS:
        raise SystemExit(__doc__)
    name, data = sys.argv[1], Path(sys.argv[2])
    net = learn(name, data)
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), FOLDER / f"{name}.pt")
    print(f"{name}: {right(net, name, data)} of 10,000")
    return 0


if __name__ == "__main__":
    sys.exit(main())
