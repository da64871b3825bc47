"""Weights as training scripts save them: under a key, wrapped, averaged; all load, and say how."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sfx.frontends.checkpoints.weights import KEYS, weights_in  # noqa: E402
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
