"""NeuroBench's trained nets for speech commands and gestures, with snnTorch's subtracting reset.

Plain state_dicts of snnTorch in the shared data. The data sets are not there: speech is made up as
delta-coded envelopes (NeuroBench codes a spectrogram so, with events of both signs, which here are
two channels of opposite weights), gestures as blobs that move. The spikes a layer should send are
those of its own real numbers on the very spikes that it receives.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ir.record import LayerRecord
from tests.conftest import DATA

pytestmark = [pytest.mark.needs_data, pytest.mark.needs_torch, pytest.mark.slow]
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
    """Events [K, T, 2, 32, 32]: edges of blobs that circle, brighter in front, darker behind."""
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
            sample[step, 0], sample[step, 1] = seen - before > 0.08, before - seen > 0.08
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


def equal_shares(bundle: Bundle) -> dict[str, float]:
    """By layer: equal spikes of those that float and integers send on the same input."""
    found = {}
    for row in bundle.manifest["quantization"]:
        r = LayerRecord.of(row)
        if r.spikes:
            assert r.missed_alone is not None
            assert r.extra_alone is not None
            found[r.population] = 1 - (r.missed_alone + r.extra_alone) / (2 * r.spikes)
    return found


@functools.cache
def speech_bundle() -> Bundle:
    return compiled(speech_net(), speech(3, seed=0), "gsc")


@functools.cache
def gesture_bundle() -> Bundle:
    return compiled(gesture_net(), gestures(2, 25, seed=0), "gesture")


def checked(bundle: Bundle, x: np.ndarray, against: str, **how: Any) -> None:
    """Equal in every bit, with every range kept, and with something to compare."""
    verdict = api.verify(bundle, x, against=against, **how)
    assert verdict.equal, verdict.first_mismatch
    assert verdict.left, "no range is measured"
    assert set(verdict.left.values()) == {0}
    assert verdict.left == verdict.left_witness
    assert sum(p.spikes for p in verdict.populations) > 5_000


def test_the_speech_net_keeps_its_reset() -> None:
    bundle = speech_bundle()
    shares = equal_shares(bundle)
    assert len(shares) == 4
    assert min(shares.values()) > 0.98, shares
    checked(bundle, speech(1, seed=7), "onnx")


def test_the_gesture_net_keeps_its_reset() -> None:
    bundle = gesture_bundle()
    shares = equal_shares(bundle)
    assert len(shares) == 4
    assert min(shares.values()) > 0.98, shares
    checked(bundle, gestures(1, 25, seed=7), "onnx")


@pytest.mark.needs_lava
def test_lava_gives_the_gesture_net_bit_for_bit() -> None:
    checked(gesture_bundle(), gestures(1, 25, seed=7), "lava", mode="layerwise")


@pytest.mark.needs_lava
def test_lava_gives_the_speech_net_bit_for_bit() -> None:
    checked(speech_bundle(), speech(1, seed=7), "lava", mode="layerwise")
