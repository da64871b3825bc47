"""What the PyTorch door says of a model that cannot be deployed: all problems at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from norse.torch import LIFAdExCell, LIFBoxCell  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.ground.errors import SfxError  # noqa: E402
from tests.golden.refused_models import CASES, SIZE, C  # noqa: E402

pytestmark = pytest.mark.needs_torch

FOLDER = Path(__file__).parent / "expected"
T, TOKENS, DIM = 4, 5, 8


class SoftmaxAttention(nn.Module):
    """A transformer block as it is written without spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(DIM, DIM)
        self.norm = nn.LayerNorm(DIM)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        attention = torch.softmax(self.q(x) @ x.transpose(-1, -2), -1) @ x
        hidden: Tensor = self.act(self.norm(attention))
        return hidden


class FloatTransformer(nn.Module):
    """Softmax, LayerNorm and GELU, one level down."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SoftmaxAttention()
        self.head = nn.Linear(DIM, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.block(x).mean(2))
        return logits


class Adaptive(nn.Module):
    """A neuron that Norse has and the chip's forms have not."""

    def __init__(self) -> None:
        super().__init__()
        self.spikes, self.readout = MultiStep(LIFBoxCell()), MultiStep(LIFAdExCell())

    def forward(self, x: Tensor) -> Tensor:
        potential: Tensor = self.readout(self.spikes(x))
        return potential


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class DataDependent(nn.Module):
    """A branch that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = Gate(), nn.Linear(DIM, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.gate(x))
        return logits


def message(
    model: nn.Module, shape: tuple[int, ...] = (TOKENS, DIM), input_layout: str = "TB"
) -> str:
    """Of the refusal, without what differs between torch versions and edits of this file."""
    with pytest.raises(SfxError) as error:
        export(model, torch.zeros(T, 1, *shape), input_layout=input_layout)
    text = re.sub(r"\.py:\d+\)", ".py:LINE)", "\n".join(map(str, error.value.problems)))
    text = re.sub(r"(scaled_dot_product)\w*", r"\1_attention", text)
    return re.sub(r"aten::_?(native_)?", "aten::", text)


def same(request: pytest.FixtureRequest, name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    assert path.read_text() == text


def test_messages(request: pytest.FixtureRequest) -> None:
    models = (FloatTransformer, Adaptive, DataDependent)
    text = "\n".join(f"# {m.__name__}: {m.__doc__}\n{message(m())}\n" for m in models)
    same(request, "door_messages", text)


def test_every_refusal_says_the_reason(request: pytest.FixtureRequest) -> None:
    """Of models that are wrong in one way each. Newer torch keeps some ops whole: other names."""
    said = [message(c.make(), (C, SIZE, SIZE), c.input_layout) for c in CASES]
    assert all(text.startswith("SFX-E1") and "\n  -> " in text for text in said)
    if torch.__version__.startswith("2.3."):
        pairs = zip(CASES, said, strict=True)
        same(request, "refusals", "\n".join(f"# {c.why}\n{text}\n" for c, text in pairs))
