"""Models that training wrapped or compiled: the modules inside are traced, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("snntorch", reason="snnTorch is not installed")

import snntorch  # noqa: E402
from tests.unit.frontends.frameworks import lively  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.neurons.bare import bare, parts_bare  # noqa: E402
from sfx.toolchain.ir.text import program_text  # noqa: E402

pytestmark = pytest.mark.needs_torch
T = 4


def leaky() -> nn.Module:
    """A neuron that keeps its own state."""
    return snntorch.Leaky(0.5, init_hidden=True, reset_mechanism="zero")


class Net(nn.Module):
    """fc, neuron, fc, neuron; the caller loops over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Linear(5, 6), leaky())
        self.b = nn.Sequential(nn.Linear(6, 3), leaky())

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


def in_part(wrap: Callable[[nn.Module], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    def wrapped(net: nn.Module) -> nn.Module:
        net.a = wrap(net.a)
        return net

    return wrapped


def in_place(net: nn.Module) -> nn.Module:
    net.compile()
    return net


WRAPPED = {
    "DataParallel": nn.DataParallel,
    "torch.compile": torch.compile,
    "both": lambda net: nn.DataParallel(torch.compile(net)),
    "a part in DataParallel": in_part(nn.DataParallel),
    "a part compiled": in_part(torch.compile),
    "compiled in place": in_place,
}


@pytest.mark.parametrize("form", WRAPPED)
def test_the_same_bundle_as_without(form: str) -> None:
    x = (np.random.default_rng(1).random((3, T, 5)) < 0.5).astype(np.uint8)
    plain, given = lively(Net()), WRAPPED[form](lively(Net()))
    want = sfx.compile(plain, torch.zeros(T, 1, 5), calibrate=x, input_layout="step")
    before = [(m, dict(m._modules), dict(m.__dict__)) for m in given.modules()]
    got = sfx.compile(given, torch.zeros(T, 1, 5), calibrate=x, input_layout="step")
    assert got.nir == want.nir
    assert program_text(got.program) == program_text(want.program)
    assert got.manifest["witness"]["spikes"] > 0
    assert got.manifest["witness"] == want.manifest["witness"]
    after = [(m, dict(m._modules), dict(m.__dict__)) for m in given.modules()]
    assert [a[:2] for a in after] == [b[:2] for b in before]
    assert [a[2].keys() for a in after] == [b[2].keys() for b in before]
    compiled = "_compiled_call_impl"
    assert [a[2].get(compiled) for a in after] == [b[2].get(compiled) for b in before]


def test_parts_come_back_after_an_error() -> None:
    net = in_part(nn.DataParallel)(Net())
    part = net.a
    with pytest.raises(ZeroDivisionError), parts_bare(net):
        assert net.a is part.module
        raise ZeroDivisionError
    assert net.a is part
    assert bare(net) is net
