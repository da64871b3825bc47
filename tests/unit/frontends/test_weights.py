"""Weights as training scripts save them: under a key, wrapped, averaged; all load, and say how."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sfx.frontends.checkpoints.weights import KEYS, network_in, weights_in  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402

pytestmark = pytest.mark.needs_torch


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Sequential(nn.Linear(6, 3)))


STATE = net().state_dict()


def under(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + k: v for k, v in STATE.items()}


FORMS = {
    "plain": (STATE, ""),
    **{key: ({key: STATE, "epoch": 3}, repr(key)) for key in KEYS},
    "ema beside plain": (
        {"state_dict": {k: v + 1 for k, v in STATE.items()}, "state_dict_ema": STATE},
        "'state_dict_ema' (not 'state_dict')",
    ),
    "dict in a dict": ({"model": {"state_dict": STATE, "epoch": 1}}, "'model'.'state_dict'"),
    "a module of Lightning's": (
        under("net.") | {"loss.weight": STATE["0.bias"]},
        "(not 'loss.weight'), without 'net.'",
    ),
    "compiled inside Lightning": (under("net._orig_mod."), "without '_orig_mod.' and 'net.'"),
    "DataParallel": (under("module."), "without 'module.'"),
    "compiled": (under("_orig_mod."), "without '_orig_mod.'"),
    "both": (
        {"model": under("module._orig_mod.")},
        "'model', without 'module.' and '_orig_mod.'",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_scripts_save_is_found_and_named(form: str) -> None:
    content, words = FORMS[form]
    state, said = weights_in(content, STATE.keys(), "w.pt")
    assert said == words
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[k], v) for k, v in STATE.items())


def test_torchs_own_wrappers_save_such_names() -> None:
    """The names are torch's, not ours: wrapped whole, and a part of the net compiled."""
    whole = nn.DataParallel(net()).state_dict()
    part = net()
    part[1] = torch.compile(part[1])
    for saved, word in ((whole, "module"), (part.state_dict(), "_orig_mod")):
        assert saved.keys() != STATE.keys()
        state, said = weights_in(saved, STATE.keys(), "w.pt")
        assert state.keys() == STATE.keys()
        assert said == f"without '{word}.'"


def test_a_networks_own_module_of_that_name_is_kept() -> None:
    own = nn.ModuleDict({"module": nn.Linear(2, 2)}).state_dict()
    assert weights_in(own, own.keys(), "w.pt") == (own, "")


def test_what_does_not_fit_is_named_without_its_wrapper() -> None:
    state, _ = weights_in(under("module.") | {"module.extra": STATE["0.bias"]}, STATE.keys(), "w")
    assert set(state) - set(STATE) == {"extra"}


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {"epoch": 3}}, [1], {"model": 3}])
def test_a_file_without_weights_says_what_it_has(content: object) -> None:
    with pytest.raises(InputError, match="holds no state_dict") as error:
        weights_in(content, STATE.keys(), "w.pt")
    assert error.value.code == "SFX-E151"


SEVERAL = {
    "state_dict": {k: v + 1 for k, v in STATE.items()},
    "state_dict_ema": STATE,
    "best": {"student": {f"module.{k}": v + 2 for k, v in STATE.items()}},
}


@pytest.mark.parametrize(
    ("key", "added", "words"),
    [
        ("state_dict", 1, "'state_dict' (not 'state_dict_ema')"),
        ("state_dict_ema", 0, "'state_dict_ema' (not 'state_dict')"),
        (
            "best.student",
            2,
            "'best'.'student' (not 'state_dict_ema', 'state_dict'), without 'module.'",
        ),
    ],
)
def test_the_user_chooses_among_several(key: str, added: int, words: str) -> None:
    state, said = weights_in(SEVERAL, STATE.keys(), "w.pt", key)
    assert said == words
    assert all(torch.equal(state[k], v + added) for k, v in STATE.items())


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        ("ema", "SFX-E156", "has no 'ema'; its keys are 'state_dict'"),
        ("best.teacher", "SFX-E156", "has no 'teacher'; its keys are 'student'"),
        ("best", "SFX-E151", "holds no state_dict"),
    ],
)
def test_a_key_without_weights(key: str, code: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        weights_in(SEVERAL, STATE.keys(), "w.pt", key)
    assert error.value.code == code


def test_a_whole_network_in_a_dict_and_wrapped() -> None:
    inner = net()
    for content in (inner, {"model": nn.DataParallel(inner)}, {"net": torch.compile(inner)}):
        assert network_in(content) is inner
    assert network_in({"ema": inner, "model": net()}, "ema") is inner
    assert network_in({"model": STATE}) is None
    assert network_in([inner]) is None
