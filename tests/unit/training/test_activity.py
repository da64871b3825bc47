"""What spikes cost: as the Program counts it, and with a gradient that lowers it."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

import sfx  # noqa: E402
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.frontends.training.activity import Activity, senders  # noqa: E402
from sfx.frontends.training.loop import Training  # noqa: E402
from sfx.frontends.training.recipe import Recipe  # noqa: E402
from sfx.toolchain.compiler.cost.synops import synapses, synops, synops_per_spike  # noqa: E402
from tests.unit.training.nets import network, patterns  # noqa: E402

pytestmark = pytest.mark.needs_torch


@functools.cache
def trained(activity: float) -> Training:
    run = Training(
        network(), patterns(120), Recipe(10, 16, 1e-2, activity=activity, settle="plain"), steps=3
    )
    list(run)
    run.finish()
    return run


def test_a_spike_costs_what_the_program_s_synapses_say() -> None:
    model = trained(0.0).model
    x = patterns().x
    program = sfx.compile(model, calibrate=x).program
    costs = synops_per_spike(program)
    sent = FastBackend().layers(program, x)
    compared = 0
    for q in program.populations:
        if not q.module or all(j.pre != q.name for j in program.projections):
            continue
        mine = [j for j in program.projections if j.pre == q.name]
        if not all(j.connection.even for j in mine):
            continue
        by_hand = sum(int(sent[q.name].sum()) * synapses(program, j) // q.size for j in mine)
        same = [p for p in program.populations if p.module == q.module]
        if len(same) == 1:
            assert costs[q.module] * int(sent[q.name].sum()) == pytest.approx(by_hand)
            compared += by_hand
    assert compared > 1_000


def test_what_sums_and_products_send_is_charged_to_the_spikes_behind_it() -> None:
    model = trained(0.0).model
    x = patterns().x
    bundle = sfx.compile(model, calibrate=x)
    program, counts = bundle.program, sfx.run(bundle, x).counts
    watched = senders(model)
    others = {q.module for q in program.populations if q.module} - watched
    assert any(re.fullmatch(r"blocks\.\d", name) for name in others), "a residual sum"
    plain = synops_per_spike(program)
    charged = synops_per_spike(program, counts, watched)
    assert charged.keys() == plain.keys() & watched

    def caused(costs: dict[str, float]) -> float:
        spikes = {q.name: q.module for q in program.populations if q.module in watched}
        return sum(int(counts.events[n].sum()) * costs[m] for n, m in spikes.items() if m in costs)

    driven = [q.name for q in program.populations if q.neuron.driven]
    mine = tuple(j for j in program.projections if j.pre not in driven)
    whole = synops(replace(program, projections=mine), counts)
    assert caused(plain) < 0.95 * whole
    assert caused(charged) == pytest.approx(whole, rel=0.02)


def test_a_penalty_lowers_the_cost_and_what_it_counts_is_the_spikes() -> None:
    free, frugal = trained(0.0), trained(0.5)
    x = torch.from_numpy(patterns(40, 1).x).float().transpose(0, 1)
    costs = []
    for run in (free, frugal):
        activity = Activity(run.model)
        sent: list[float] = []
        hooks = [
            m.register_forward_hook(lambda m, i, o, sent=sent: sent.append(float(o.sum())))
            for m in activity._modules.values()
        ]
        with torch.no_grad(), activity.watching():
            run.model(x)
        for hook in hooks:
            hook.remove()
        costs.append(float(activity.cost(40)))
        assert costs[-1] == pytest.approx(sum(sent) / 40)
        assert activity.cost(40) == 0, "what was kept is forgotten"
    assert costs[1] < 0.8 * costs[0]
    assert frugal.correct(patterns(40, 1)) > 32
    assert frugal.epochs[0].activity == pytest.approx(1, abs=0.4)
    assert np.isfinite(frugal.epochs[-1].loss)


def test_a_value_that_is_sent_is_one_event() -> None:
    class Sends(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 1

    activity = Activity(torch.nn.Sequential(Sends()), {"0": 2.0})
    x = torch.tensor([[0.0, 3.0, 0.25], [-1.0, 0.0, 1.0]], requires_grad=True)
    with activity.watching():
        activity._modules["0"](x)
    cost = activity.cost(2)
    assert cost == 2.0 * 4 / 2
    cost.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1, 1], [-1, 1, 1]]
