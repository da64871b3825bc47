"""NeuroBench's trained nets for speech commands and gestures, with snnTorch's subtracting reset.

The witness is snnTorch: each of its layers, in float64, on the very spikes that the integers' layer
before it sends.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.formats.bundle.bundle import Bundle
from tests.e2e import neurobench_nets as nets

pytestmark = [pytest.mark.needs_data, pytest.mark.needs_torch, pytest.mark.slow]


@functools.cache
def speech_bundle() -> Bundle:
    return nets.compiled(nets.speech_net(), nets.speech(3, seed=0), "gsc")


@functools.cache
def gesture_bundle() -> Bundle:
    return nets.compiled(nets.gesture_net(), nets.gestures(3, 40, seed=0), "gesture")


def recorded(bundle: Bundle) -> int:
    """Neuron-steps of the first layer that are wrong on the calibration samples."""
    first = next(r for r in bundle.manifest["quantization"] if r["spikes"])
    return int(first["missed"] + first["extra"])


def checked(bundle: Bundle, x: np.ndarray, against: str, **how: Any) -> None:
    """Equal in every bit, with every range kept, and with something to compare."""
    verdict = api.verify(bundle, x, against=against, **how)
    assert verdict.equal, verdict.first_mismatch
    assert verdict.left, "no range is measured"
    assert set(verdict.left.values()) == {0}
    assert verdict.left == verdict.left_witness
    assert verdict.compared > 800_000
    assert verdict.silent == ()
    assert sum(p.spikes for p in verdict.populations) > 5_000


def test_the_speech_net_keeps_its_reset() -> None:
    bundle, net = speech_bundle(), nets.speech_net()
    seen = nets.beside_snntorch(bundle, net, nets.speech(3, seed=0))
    unseen = nets.beside_snntorch(bundle, net, nets.speech(8, seed=50))
    assert seen[0].wrong == recorded(bundle)
    assert len(seen) == len(unseen) == 4
    assert min(layer.spikes for layer in (*seen, *unseen)) > 500
    assert min(layer.equal for layer in seen) > 0.98, seen
    assert min(layer.equal for layer in unseen) > 0.97, unseen
    checked(bundle, nets.speech(1, seed=7), "onnx")


def test_the_gesture_net_keeps_its_reset() -> None:
    bundle, net = gesture_bundle(), nets.gesture_net()
    seen = nets.beside_snntorch(bundle, net, nets.gestures(3, 40, seed=0))
    unseen = nets.beside_snntorch(bundle, net, nets.gestures(4, 40, seed=50))
    assert seen[0].wrong == recorded(bundle)
    assert len(seen) == len(unseen) == 4
    assert min(layer.spikes for layer in (*seen, *unseen)) > 90
    assert min(layer.equal for layer in seen) > 0.98, seen
    assert min(layer.equal for layer in unseen) > 0.97, unseen
    checked(bundle, nets.gestures(1, 40, seed=7), "onnx")


@pytest.mark.needs_lava
def test_lava_gives_the_gesture_net_bit_for_bit() -> None:
    checked(gesture_bundle(), nets.gestures(1, 40, seed=7), "lava", mode="layerwise")


@pytest.mark.needs_lava
def test_lava_gives_the_speech_net_bit_for_bit() -> None:
    checked(speech_bundle(), nets.speech(1, seed=7), "lava", mode="layerwise")
