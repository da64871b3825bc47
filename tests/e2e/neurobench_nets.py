"""NeuroBench's trained nets for speech commands and gestures, and made-up input for them.

Plain state_dicts of snnTorch in the shared data. The data sets are not there: speech is made up as
delta-coded envelopes (NeuroBench codes a spectrogram so, with events of both signs, which here are
two channels of opposite weights), gestures as blobs that move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sfx.backends.fast.backend import FastBackend
from sfx.toolchain.app import api
from sfx.toolchain.formats.bundle.bundle import Bundle
from tests.conftest import DATA

FILES = DATA / "neurobench"


def speech(samples: int, seed: int) -> np.ndarray:
    """Events [K, 201, 40] of 20 channels: of rising and of falling energy of a few formants."""
    rng = np.random.default_rng(seed)
    steps, channels = 201, 20
    t, c = np.arange(steps)[:, None], np.arange(channels)[None]
    out = np.zeros((samples, steps, 2 * channels), np.int64)
    for sample in out:
        energy = np.zeros((steps, channels))
        for _ in range(rng.integers(3, 7)):
            when, lasts = rng.uniform(20, steps - 20), rng.uniform(8, 35)
            pitch, glide, wide = rng.uniform(0, channels), rng.normal(0, 0.08), rng.uniform(1, 3.5)
            near = ((t - when) / lasts) ** 2 + ((c - pitch - glide * (t - when)) / wide) ** 2
            energy += rng.uniform(3, 9) * np.exp(-near)
        level = 4 * np.log1p(energy) + rng.normal(0, 0.8, (steps, channels))
        reached = level[0].copy()
        for step in range(steps):
            up, down = level[step] - reached > 1, reached - level[step] > 1
            sample[step, :channels], sample[step, channels:] = up, down
            reached += up * 1.0 - down
    return out


def gestures(samples: int, steps: int, seed: int) -> np.ndarray:
    """Events [K, T, 2, 32, 32]: edges of blobs that circle, brighter in front, darker behind.

    An event for each 0.03 by which a pixel got brighter or darker.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    out = np.zeros((samples, steps, 2, 32, 32), np.int64)
    for sample in out:
        before = np.zeros((32, 32))
        at, speed, far = rng.uniform(0, 6.3, 3), rng.normal(0, 0.25, 3), rng.uniform(3, 12, 3)
        for step in range(steps):
            angle = at + speed * step
            seen = np.zeros((32, 32))
            for a, r in zip(angle, far, strict=True):
                seen += np.exp(
                    -((x - 16 - r * np.cos(a)) ** 2 + (y - 16 - r * np.sin(a)) ** 2) / 14
                )
            events = np.trunc((seen - before) / 0.03)
            sample[step] = np.maximum(events, 0), np.maximum(-events, 0)
            before = seen
    return out


def speech_net() -> Any:
    import snntorch as snn
    import torch
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    for into, size in ((20, 256), (256, 256), (256, 256), (256, 35)):
        layers += [nn.Linear(into, size), snn.Leaky(beta=0.9, init_hidden=True)]
    net = nn.Sequential(*layers)
    net.load_state_dict(torch.load(FILES / "gsc_snn.pt", map_location="cpu", weights_only=True))
    both = nn.Linear(40, 256)
    weight = net[1].weight.data
    both.weight.data, both.bias.data = torch.cat([weight, -weight], 1), net[1].bias.data
    net[1] = both
    return net.eval()


def gesture_net() -> Any:
    import snntorch as snn
    import torch
    from torch import nn

    def block(into: int, size: int) -> list[nn.Module]:
        conv = nn.Conv2d(into, size, 5, padding="same")
        return [conv, nn.MaxPool2d(2), snn.Leaky(beta=0.5, init_hidden=True)]

    layers = [*block(2, 16), *block(16, 32), *block(32, 64), nn.Flatten(), nn.Linear(1024, 11)]
    net = nn.Sequential(*layers, snn.Leaky(beta=0.5, init_hidden=True))
    names = ("conv1", "", "lif1", "conv2", "", "lif2", "conv3", "", "lif3", "", "linear1", "lif4")
    stored = torch.load(FILES / "dvs_gesture_snn.pt", map_location="cpu", weights_only=True)
    renamed = {
        f"{names.index(name.split('.')[0])}.{name.split('.')[1]}": value
        for name, value in stored.items()
    }
    net.load_state_dict(renamed)
    return net.eval()


def compiled(net: Any, x: np.ndarray, name: str) -> Bundle:
    import torch

    from sfx.frontends.tracing.export import traced

    example = torch.zeros(x.shape[1], 1, *x.shape[2:])
    made = traced(net, example, name=name, input_layout="step")
    return api.compile(made.graph, calibrate=x, timesteps=x.shape[1])


@dataclass(frozen=True)
class Layer:
    """Of spiking neurons, on the spikes that it really receives.

    spikes  that snnTorch sends;  wrong: neuron-steps, of all `steps`, at which the integers differ
    """

    spikes: int
    wrong: int
    steps: int

    @property
    def equal(self) -> float:
        """Share of the spikes: each that comes late or early counts once, as two neuron-steps."""
        return 1 - self.wrong / (2 * self.spikes)


def beside_snntorch(bundle: Bundle, net: Any, x: np.ndarray) -> list[Layer]:
    """Each layer of `net` in float64 on the spikes that the bundle's layer before it sends."""
    import snntorch as snn
    import torch

    sent = FastBackend().layers(bundle.program, x)
    found: list[Layer] = []
    before, group = "input", []
    for i, module in enumerate(net.double()):
        if not isinstance(module, snn.Leaky):
            group.append(module)
            continue
        module.init_hidden = False
        shape = bundle.program[before].shape
        arrives = torch.from_numpy(sent[before].reshape(*x.shape[:2], *shape)).double()
        membrane, spikes = module.init_leaky(), []
        with torch.no_grad():
            for step in arrives.unbind(1):
                for map_ in group:
                    step = map_(step)
                spike, membrane = module(step, membrane)
                spikes.append(spike)
        want = torch.stack(spikes, 1).flatten(2).numpy()
        mine = sent[str(i)].reshape(want.shape)
        found.append(Layer(int(want.sum()), int(np.abs(want - mine).sum()), want.size))
        before, group = str(i), []
    return found
