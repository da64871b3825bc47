"""A state that is no net any more, or of another net, is refused where it enters."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError, UnsupportedError  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from tests.unit.qat.cells import Feedforward, Recurrent, prepared, samples  # noqa: E402
from tests.unit.qat.nets import train  # noqa: E402

X = torch.from_numpy(samples()).float().transpose(0, 1)


@pytest.fixture
def model() -> QatModel:
    return prepared(Recurrent("subtract"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("which", ["weights", "biases"])
def test_what_is_not_finite_is_refused(
    model: QatModel, which: str, value: float, tmp_path: Path
) -> None:
    name, parameter = next(iter(getattr(model, which).items()))
    parameter.data.flatten()[0] = value
    for use in (
        lambda: sfx.compile(model),
        lambda: sfx.qat.save(model, tmp_path / "x.safetensors"),
        lambda: sfx.qat.verify(model, samples()),
        lambda: model(X),
    ):
        with pytest.raises(InputError, match="NaN or infinite") as error:
            use()
        assert error.value.code == "SFX-E365"
        assert name in str(error.value)
    assert not list(tmp_path.iterdir())


def test_half_precision_is_refused_and_double_changes_nothing(model: QatModel) -> None:
    expected = model(X).detach()
    for cast in (model.half, model.bfloat16, lambda: model.to(torch.float16)):
        with pytest.raises(UnsupportedError, match="cannot hold") as error:
            cast()
        assert error.value.code == "SFX-E367"
    assert torch.equal(model(X), expected)
    assert torch.equal(model.double()(X), expected)
    assert torch.equal(model.float()(X), expected)
    assert all(b.dtype == torch.float64 for b in model.buffers())


def test_a_state_of_another_template_is_refused(model: QatModel) -> None:
    other = prepared(Recurrent("subtract"), x=np.minimum(samples(seed=1) * 3, 2))
    before = copy.deepcopy(other.state_dict())
    assert not all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    with pytest.raises(InputError) as error:
        other.load_state_dict(model.state_dict())
    assert error.value.code == "SFX-E366"
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items()), "nothing of it"
    same = prepared(Recurrent("subtract"))
    train(model, samples(), torch.arange(32) % 5, steps=3, rate=5e-3)
    assert not torch.equal(same(X), model(X))
    same.load_state_dict(model.state_dict())
    assert torch.equal(same(X), model(X))


def test_a_state_of_an_older_sfx_has_no_fingerprint(model: QatModel) -> None:
    state = model.state_dict()
    del state["_extra_state"]
    prepared(Recurrent("subtract")).load_state_dict(state)


def test_models_are_copied_and_pickled(model: QatModel) -> None:
    train(model, samples(), torch.arange(32) % 5, steps=3, rate=5e-3)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for again in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert torch.equal(again(X), model(X))
        assert sfx.qat.verify(again, samples()).equal
        train(again, samples(), torch.arange(32) % 5, steps=1, rate=1e-1)
        assert not torch.equal(again(X), model(X)), "it shares nothing with the first"


def test_an_empty_batch_has_no_logits(model: QatModel) -> None:
    assert model(X[:, :0]).shape == (0, 5)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (samples() * 0.99, "SFX-E611"),
        (samples() - 1, "SFX-E616"),
        (samples() * 0, "SFX-E618"),
        (samples()[:0], "SFX-E611"),
    ],
)
def test_calibration_that_is_no_events_is_refused(x: np.ndarray, code: str) -> None:
    with pytest.raises(SfxError) as error:
        sfx.qat.prepare(Feedforward(), calibrate=x)
    assert error.value.code == code


def test_arrays_are_refused_by_name(model: QatModel) -> None:
    with pytest.raises(InputError, match="ndarray") as error:
        model(samples())  # type: ignore[arg-type]
    assert error.value.code == "SFX-E361"


def counts(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(1.2, (64, 4, 12)).astype(np.int64)


def test_a_soft_reset_takes_the_counts_that_the_data_have() -> None:
    """With 255 a step on each input its membrane is so coarse that nothing reaches layer one."""
    x = counts()
    net = Feedforward()
    model = sfx.qat.prepare(net, calibrate=x)
    assert model.template.program.input.high == 15
    y = torch.from_numpy(x.sum(1)[:, :5].argmax(1))
    losses = train(model, x, y, steps=40, rate=5e-3)
    first = next(iter(model.weights.values()))
    assert first.grad is not None
    assert first.grad.count_nonzero() > first.numel() // 2
    assert losses[-1] < 0.9 * losses[0]
    assert sfx.qat.verify(model, x).equal
    hard = sfx.qat.prepare(Feedforward(reset_mechanism="zero"), calibrate=x)
    assert hard.template.program.input.high == 255
    asked = sfx.qat.prepare(net, calibrate=x, options=sfx.qat.Options(counts=31))
    assert asked.template.program.input.high == 31
