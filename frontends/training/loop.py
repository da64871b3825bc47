"""The training loop. Whatever it needs to go on is in `state()`: an unbroken run and one that was
resumed after any epoch give the same weights, to the bit (on a CPU, with equal numbers of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...toolchain.ground.errors import InputError
from ..zoo.spikeformer import settle_batch_norm
from .activity import Activity
from .augment import Augment
from .fits import misfit
from .losses import divergence, heads, supervised
from .quick import quick
from .recipe import Recipe
from .samples import Samples
from .schedule import optimizer_of, schedule_of

EVALUATED = 250
"""Samples of one batch without gradients."""
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

Progress = Callable[[int, int], None]
"""Called after every step with steps done and steps of the epoch."""


@dataclass(frozen=True)
class Epoch:
    """What became of one.

    loss        mean over its samples;  train: share of them that were right, as they were learned
    validation  share of the samples held out that is right, None without any
    activity    cost of the spikes, of their cost at the start; None where it is not trained
    rate        at its end;  seconds: of wall clock
    """

    number: int
    loss: float
    train: float
    validation: float | None
    activity: float | None
    rate: float
    seconds: float


class Training:
    """A network that is being trained, epoch by epoch.

    model       x [T, B, ...] -> logits [B, classes], or one for each block while it trains
    samples     what it learns from;  validation: what it is looked at with after each epoch
    steps       T
    teacher     another network on the same samples, whose logits `recipe.distill` draws near to
    cost        module path -> cost of one spike, see `Activity`; with `recipe.activity`
    device      of torch

        training = Training(model, samples, Recipe(epochs=20, batch=32, rate=4e-3), steps=4)
        for epoch in training:
            print(epoch.number, epoch.loss, epoch.train)
        training.finish()
    """

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        recipe: Recipe,
        *,
        steps: int,
        validation: Samples | None = None,
        augment: Augment | None = None,
        teacher: nn.Module | None = None,
        cost: Mapping[str, float] | None = None,
        device: str = "cpu",
    ) -> None:
        """Raises InputError: SFX-E385 fewer samples than a batch, SFX-E386 settings that need what
        is not given or a device that is not there, SFX-E384 as `Activity`.
        """
        self._count = len(samples.labels)
        whole = -(-self._count // recipe.batch) if recipe.partial else self._count // recipe.batch
        if not whole:
            raise InputError(
                "SFX-E385",
                f"{self._count} samples are fewer than a batch of {recipe.batch}",
                where="[train] batch",
                hint="a smaller batch, or partial = true",
            )
        _agree(recipe, validation, teacher, device)
        _usable(device)
        self.model, self.recipe, self.steps = model.to(device), recipe, steps
        self._samples, self._validation = samples, validation
        self._augment, self._device = augment or Augment(), device
        self._teacher = None if teacher is None else teacher.to(device).eval()
        self._activity = Activity(model, cost) if recipe.activity else None
        self._reference = 0.0  # cost of a sample's spikes in the first batch
        self._optimizer = optimizer_of(model.parameters(), recipe)
        self._schedule = schedule_of(self._optimizer, recipe, recipe.epochs * whole)
        self._scaler = torch.amp.GradScaler("cuda", enabled=recipe.precision == "float16")
        self._generator = torch.Generator().manual_seed(recipe.seed)
        self._best: tuple[float, dict[str, Tensor]] | None = None
        self.epochs: list[Epoch] = []
        self.progress: Progress | None = None

    @property
    def done(self) -> bool:
        """No epoch is left, or `patience` is over."""
        if len(self.epochs) >= self.recipe.epochs:
            return True
        shares = [e.validation or 0.0 for e in self.epochs]
        return bool(
            self.recipe.patience
            and shares
            and len(shares) - 1 - shares.index(max(shares)) >= self.recipe.patience
        )

    def __iter__(self) -> Iterator[Epoch]:
        while not self.done:
            yield self.epoch()

    def epoch(self) -> Epoch:
        """Trains on every sample once. Raises InputError (SFX-E379) if the loss becomes infinite or
        NaN.
        """
        started = time.monotonic()
        self.model.train()
        loss, right, cost, seen = 0.0, 0, 0.0, 0
        batches = self._order().split(self.recipe.batch)
        with self._kernels():
            for done, index in enumerate(batches, 1):
                a, b, c = self._step(index)
                loss, right, cost = loss + a * len(index), right + b, cost + c * len(index)
                seen += len(index)
                if not math.isfinite(a):
                    raise self._lost(done)
                if self.progress is not None:
                    self.progress(done, len(batches))
        share = (
            None
            if self._validation is None
            else self.correct(self._validation) / len(self._validation.labels)
        )
        self.epochs.append(
            Epoch(
                len(self.epochs) + 1,
                loss / seen,
                right / seen,
                share,
                cost / seen if self._activity else None,
                float(self._optimizer.param_groups[0]["lr"]),
                time.monotonic() - started,
            )
        )
        if self.recipe.keep == "best" and (self._best is None or (share or 0.0) > self._best[0]):
            state = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            self._best = (share or 0.0, state)
        return self.epochs[-1]

    def _lost(self, step: int) -> InputError:
        """The refusal to go on with weights of which nothing is left."""
        return InputError(
            "SFX-E379",
            f"the loss is not finite at step {step} of epoch {len(self.epochs) + 1}",
            where="[train]",
            hint="a smaller rate, a longer warmup, or clip; what was kept before is untouched",
        )

    def _order(self) -> Tensor:
        order = torch.randperm(self._count, generator=self._generator)
        batch = self.recipe.batch
        return order if self.recipe.partial else order[: self._count // batch * batch]

    def _step(self, index: Tensor) -> tuple[float, int, float]:
        """Loss, samples that were right, and cost of the spikes relative to the start."""
        recipe = self.recipe
        x = self._frames(self._samples, index, self._generator)
        y = self._samples.labels[index].to(self._device)
        wanted = None
        if self._teacher is not None and recipe.distill:
            with torch.no_grad():
                wanted = self._teacher(x)
        with self._half(), self._activity.watching() if self._activity else nullcontext():
            outputs = heads(self.model(x))
            loss = supervised(outputs, y, recipe.blocks, recipe.smoothing)
            if wanted is not None:
                loss = loss + recipe.distill * divergence(outputs[-1], wanted)
            cost = torch.zeros(())
            if self._activity is not None:
                cost = self._activity.cost(len(y))
                self._reference = self._reference or float(cost.detach())
                cost = cost / max(self._reference, 1e-9)
                loss = loss + recipe.activity * cost
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        if recipe.clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        right = int((outputs[-1].argmax(1) == y).sum())
        return float(loss.detach()), right, float(cost.detach())

    def _frames(self, samples: Samples, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """Float [T, B, ...] on the device, augmented where a generator is given."""
        x = samples.batch(index, generator).to(self._device)
        if generator is not None:
            x = self._augment(x, generator)
        x = x.transpose(0, 1)
        return x.expand(self.steps, *x.shape[1:]) if len(x) == 1 else x

    def _half(self) -> Any:
        half = HALVES.get(self.recipe.precision)
        kind = torch.device(self._device).type
        return nullcontext() if half is None else torch.autocast(kind, half)

    def _kernels(self) -> Any:
        plain = torch.device(self._device).type == "cpu" and self.recipe.precision == "float32"
        if not (self.recipe.quick and plain):
            return nullcontext()
        still = self._samples.batch(torch.arange(1), None).shape[1] == 1 < self.steps
        stack = ExitStack()
        for model in (self.model, *([] if self._teacher is None else [self._teacher])):
            stack.enter_context(quick(model, still=still))
        return stack

    def correct(self, samples: Samples) -> int:
        """How many samples the deployed classifier gets right, in `eval()`."""
        self.model.eval()
        right = 0
        with torch.no_grad(), self._kernels():
            for index in torch.arange(len(samples.labels)).split(EVALUATED):
                logits = heads(self.model(self._frames(samples, index, None)))[-1]
                right += int((logits.argmax(1).cpu() == samples.labels[index]).sum())
        return right

    def finish(self) -> None:
        """The weights that are kept, batch norm's statistics settled; leaves it in `eval()`."""
        recipe = self.recipe
        if self._best is not None:
            self.model.load_state_dict(self._best[1])
        if recipe.settle != "no":
            generator = torch.Generator().manual_seed(recipe.seed)
            plain = recipe.settle == "plain"
            order = torch.arange(self._count)
            if not plain:  # a batch must not be of one class
                order = torch.randperm(self._count, generator=generator)
                order = order[: max(self._count // recipe.batch, 1) * recipe.batch]
            batches = (
                self._frames(self._samples, i, None if plain else generator)
                for i in order.split(recipe.batch)
            )
            with self._kernels():
                settle_batch_norm(self.model, batches)
        self.model.eval()

    def state(self) -> dict[str, Any]:
        """Plain data and tensors, from which `restore` goes on."""
        return {
            "recipe": {
                k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.recipe).items()
            },
            "model": dict(self.model.state_dict()),
            "optimizer": self._optimizer.state_dict(),
            "schedule": _plain(self._schedule.state_dict()),
            "scaler": self._scaler.state_dict(),
            "generator": self._generator.get_state(),
            "torch": torch.get_rng_state(),
            "reference": self._reference,
            "best": None if self._best is None else list(self._best),
            "epochs": [list(asdict(e).values()) for e in self.epochs],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state()` was taken. Raises InputError (SFX-E387) if it does not fit."""
        numbers = {
            "schedule": _plain(self._schedule.state_dict()),
            "scaler": self._scaler.state_dict(),
        }
        problem = misfit(state, self.model, self._optimizer, numbers)
        if problem:
            raise InputError(
                "SFX-E387",
                f"is not the state of this training: {problem}",
                hint="train anew in another folder",
            )
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(dict(state["schedule"]))
        self._scaler.load_state_dict(state["scaler"])
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        self._reference = float(state["reference"])
        self._best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self.epochs = [Epoch(*row) for row in state["epochs"]]


def _agree(
    recipe: Recipe, validation: Samples | None, teacher: nn.Module | None, device: str
) -> None:
    """Raise InputError (SFX-E386) for settings that need what is not given."""
    problem = ""
    if (recipe.patience or recipe.keep == "best") and validation is None:
        problem = "patience and keep = 'best' need samples held out"
    elif recipe.distill and teacher is None:
        problem = "distill needs a teacher"
    elif recipe.precision == "float16" and not device.startswith("cuda"):
        problem = "float16 needs a CUDA device; bfloat16 runs on a CPU too"
    if problem:
        raise InputError("SFX-E386", problem, where="[train]")


def _usable(device: str) -> None:
    """Raise InputError (SFX-E386) for a device that torch does not have here."""
    try:
        torch.zeros(1, device=torch.device(device)).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise InputError(
            "SFX-E386",
            f"cannot be used: {str(error).splitlines()[0]}",
            where=f"device {device!a}",
            hint="cpu, cuda or cuda:1, as torch names what this machine has",
        ) from error


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule's state without the functions that some versions of torch put in."""
    return {k: v for k, v in state.items() if isinstance(v, bool | int | float | str | list | None)}
