"""Every neuron of a library is mapped, or refused with what to use in its place."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.frontends.neurons import snntorch, spikingjelly  # noqa: E402  (after importorskip)
from sfx.toolchain.ground.errors import UnsupportedError  # noqa: E402


def bare(cls: type[Any]) -> Any:
    """An instance as the reader sees it; no constructor has run."""
    return cls.__new__(cls)


def neurons_of(module: ModuleType) -> dict[str, type[Any]]:
    found = inspect.getmembers(module, inspect.isclass)
    return {name: cls for name, cls in found if issubclass(cls, torch.nn.Module)}


def refused(reader: ModuleType, cls: type[Any]) -> str:
    with pytest.raises(UnsupportedError) as caught:
        reader.read(bare(cls), 1e-3, "here")
    text = str(caught.value)
    assert text.startswith("SFX-E105 here: ")
    assert cls.__name__ in text
    return text


def test_snntorch() -> None:
    library = pytest.importorskip("snntorch")
    found = {n: c for n, c in neurons_of(library).items() if "_neurons" in c.__module__}
    others = set(found) - set(snntorch.STATES) - {"SpikingNeuron", "LIF"}
    assert others >= {"Alpha", "SLSTM", "SConv2dLSTM", "LeakyParallel"}
    for name in others:
        text = refused(snntorch, found[name])
        assert snntorch.INSTEAD[name] in " ".join(text.split()), name
    assert set(snntorch.INSTEAD) >= others


def test_spikingjelly() -> None:
    library = pytest.importorskip("spikingjelly.activation_based.neuron")
    bases = {"BaseNode", "AdaptBaseNode", "NonSpikingBaseNode", "SimpleBaseNode"}
    own = {n: c for n, c in neurons_of(library).items() if "neuron" in c.__module__}
    others = set(own) - set(spikingjelly.NEURONS) - bases
    assert len(others) > 3
    for name in others:
        text = " ".join(refused(spikingjelly, own[name]).split())
        assert spikingjelly.INSTEAD.get(name, "use one of: LIFNode") in text, name
    told = {"LIAFNode", "KLIFNode"}
    assert told <= others & set(spikingjelly.INSTEAD)
