"""What `sfx train` does: a zoo network on data, then, if wanted, once more in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data.door import calibration_of, classes_fit
from ...data.mapped import mapped
from ...data.read import at_every_step
from ...data.whole import not_negative
from ...ground.errors import InputError
from ...ground.files import writable_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ....frontends.training.config import Config
    from ....frontends.training.loop import Epoch, Training
    from ....frontends.training.samples import Samples
    from ....frontends.zoo.public_model import FrameModel

MODEL, STATE, LOG, PICTURE = "model.pt", "state.pt", "log.csv", "log.svg"
INTEGERS = "integers"
"""What the files of fine-tuning begin with."""
TUNED = f"{INTEGERS}.safetensors"
FILES = (STATE, MODEL, LOG, PICTURE, TUNED, *(f"{INTEGERS}-{n}" for n in (STATE, LOG, PICTURE)))
"""All that a training writes."""
ROOMY = "hala-point"
"""Whatever fits a listed target fits it; cores are those of `loihi2`, and so is the Program."""


@dataclass(frozen=True)
class Trained:
    """What one stage left behind.

    path   the file that `sfx compile` takes
    right  test samples that the network gets right, of `tested`; None without any
    """

    path: Path
    epochs: tuple[Epoch, ...]
    right: int | None
    tested: int


@dataclass(frozen=True)
class Told:
    """Who is told what happens while it does.

    stage  of a stage and its Training, before its first epoch;  epoch: after each
    """

    stage: Callable[[str, Training], None] = lambda name, training: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


def train(
    file: str | Path,
    output: str | Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    told: Told | None = None,
) -> tuple[Trained, ...]:
    """Train as the configuration `file` says; one `Trained` for each stage.

    output  a folder, made if it is not there, for the checkpoint, the log and its picture
    resume  go on after the last epoch that was finished there

    Raises InputError: SFX-E380 to E389 what is wrong with the configuration, the samples or the
    folder, what reading the data and the checkpoint raises, and what `sfx.qat.prepare` refuses.
    """
    from ....frontends.training.config import read_config

    folder = Path(output)
    _begin(folder, resume)
    config = read_config(Path(file))
    told = told or Told()
    model = _new(config)
    _supervisable(config, model)
    parts = _samples(config, model)
    found = [_float_stage(config, folder, model, parts, device, told)]
    if config.qat is not None:
        found.append(_integer_stage(config, folder, parts, device, told))
    return tuple(found)


def _begin(folder: Path, resume: bool) -> None:
    """Raise InputError (SFX-E389) where another training's files would be lost, or none are."""
    there = writable_folder(folder)
    begun = there and (folder / STATE).exists()
    lost = [n for n in FILES if there and (folder / n).exists()]
    if lost and not resume:
        raise InputError(
            "SFX-E389",
            "a training was begun here" if begun else f"{lost[0]} is here and would be replaced",
            where=str(folder),
            hint="--resume goes on with it; or name another folder" if begun else "name another",
        )
    if resume and not begun:
        raise InputError(
            "SFX-E389", "no training was begun here", where=str(folder), hint="leave --resume out"
        )


def _supervisable(config: Config, model: FrameModel) -> None:
    """Raise InputError (SFX-E383) unless `blocks` has a weight for each classifier."""
    there = len(model.earlier_heads()) + 1
    for title, recipe in (("train", config.train), ("qat.train", config.tune)):
        if recipe is not None and recipe.blocks and len(recipe.blocks) != there:
            raise InputError(
                "SFX-E383",
                f"{len(recipe.blocks)} weights for {there} classifiers",
                where=f"[{title}] blocks",
                hint="one weight per block, the deployed classifier's last",
            )


def _made(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E603", f"cannot be made: {reason}", where=str(folder)) from error


Parts = tuple["Samples", "Samples | None", "Samples | None"]
"""Samples to learn from, held out, and to test with."""


def _samples(config: Config, model: FrameModel) -> Parts:
    """Raises InputError as the readers do, for what the model does not take, and SFX-E381."""
    from ....frontends.training.split import stratified

    whole, test = _recordings(config) if config.data.set else _frames(config, model)
    _fits(whole, model, "training")
    if test is not None:
        _fits(test, model, "test")
    if not config.data.validation:
        return whole, None, test
    learned, held = stratified(whole.labels, config.data.validation, config.train.seed)
    return whole.subset(learned), whole.subset(held), test


def _fits(samples: Samples, model: FrameModel, name: str) -> None:
    """Raise InputError (SFX-E612, E617) unless the model takes such samples and has their classes.

    Images, of one step, are shown at every step of the model.
    """
    import torch

    steps, _, *frame = model.input_shape
    shape = tuple(samples.batch(torch.arange(1), None).shape[1:])
    if shape[0] not in (1, steps) or shape[1:] != tuple(frame):
        raise InputError(
            "SFX-E612",
            f"samples have shape {shape}, but the model takes {(steps, *frame)} (steps first)",
            where=f"{name} samples",
            hint="timesteps, in_channels and image_size of [model] must be those of the samples",
        )
    classes_fit(samples.labels.numpy(), model.config.num_classes, f"{name} labels")


def _frames(config: Config, model: FrameModel) -> tuple[Samples, Samples | None]:
    from ....frontends.training.samples import Arrays

    steps, _, *frame = model.input_shape

    def read(name: str) -> Samples:
        data = mapped(config.folder / name)
        if data.y is None:
            hint = "sfx data convert writes y [samples]"
            raise InputError("SFX-E611", "has no labels y", where=name, hint=hint)
        _bytes(data.x, name)
        return Arrays.of(at_every_step(data.x, tuple(frame), steps), data.y)

    return read(config.data.train), read(config.data.test) if config.data.test else None


def _bytes(x: NDArray[Any], where: str) -> None:
    """Raise InputError (SFX-E612, E616) for values outside 0..255, which no checkpoint keeps."""
    if x.dtype == np.uint8:
        return
    not_negative(x, where)
    if (high := int(x.max())) > 255:
        what = f"x reaches {high}; samples of a training are counts or pixels of 0..255"
        raise InputError("SFX-E612", what, where=where, hint="shorter steps, or clip the counts")


def _recordings(config: Config) -> tuple[Samples, Samples | None]:
    from ....frontends.datasets.find import find
    from ....frontends.datasets.options import Frames
    from ....frontends.datasets.sample import shape
    from ....frontends.training.samples import Recordings

    data = config.data
    resized = data.size if data.set == "images" else None
    frames = Frames(data.steps, data.bin, data.duration, data.crop, None if resized else data.size)

    def read(split: str) -> Samples:
        source = find(
            data.set,
            config.folder / data.path,
            split=split,
            every=data.test_every,
            size=resized,
            gray=data.gray,
            sensor=data.sensor,
            unit=data.unit,
            columns=data.columns,
        )
        shape(source, frames)
        if config.events is not None and (source.sensor is None or source.frames is not None):
            what = f"[events] changes events, but the samples of {data.set} are frames or images"
            raise InputError("SFX-E380", what, where=data.path, hint="[augment] changes frames")
        return Recordings(source, frames, config.events if split == "train" else None)

    return read("train"), read("test")


def _new(config: Config) -> FrameModel:
    """The network as training finds it."""
    import torch

    if config.train.threads:
        torch.set_num_threads(config.train.threads)  # sums in one order
    torch.manual_seed(config.train.seed)
    return _network(config)


def _float_stage(
    config: Config, folder: Path, model: FrameModel, parts: Parts, device: str, told: Told
) -> Trained:
    from ....frontends.checkpoints.save import save
    from ....frontends.training.loop import Training

    learned, held, test = parts
    steps = model.input_shape[0]
    calibration = _calibration(config, learned, steps)
    training = Training(
        model,
        learned,
        config.train,
        steps=steps,
        validation=held,
        augment=config.augment,
        teacher=None if config.start is None or not config.train.distill else _network(config),
        cost=_costs(model, calibration) if config.train.activity else None,
        device=device,
    )
    out = folder / MODEL
    _made(folder)
    if _run(training, folder, "", config, "training", told) or not out.exists():
        training.finish()
        save(model.cpu(), out, calibration)
    else:
        _taken_over(model, out)
    return _tested(training, out, test)


def _taken_over(model: FrameModel, path: Path) -> None:
    """The finished weights of an earlier run. Raises InputError (SFX-E387) for another network."""
    found = _finished(path)
    if found.config != model.config:
        raise InputError(
            "SFX-E387",
            "holds another network than this training's",
            where=str(path),
            hint="remove it, and it is made again from the last epoch",
        )
    model.load_state_dict(found.state_dict())
    model.eval()


def _integer_stage(config: Config, folder: Path, parts: Parts, device: str, told: Told) -> Trained:
    from ....frontends.training.loop import Training
    from ...compiler.quantize.options import Options
    from ...qat.store import save
    from .tuning import prepare, with_heads

    assert config.qat is not None
    assert config.tune is not None
    learned, held, test = parts
    teacher = _finished(folder / MODEL)
    options, trained = Options(bits=config.qat.bits), config.qat.trained
    model = prepare(folder / MODEL, config.qat.target, options=options, train=trained)
    beside = config.tune.blocks and teacher.earlier_heads()
    training = Training(
        with_heads(model, teacher) if beside else model,
        learned,
        config.tune,
        steps=teacher.input_shape[0],
        validation=held,
        augment=config.augment,
        teacher=teacher if config.tune.distill else None,
        device=device,
    )
    _run(training, folder, f"{INTEGERS}-", config, f"{config.qat.bits} bits", told)
    training.finish()
    out = folder / TUNED
    save(model, out)
    return _tested(training, out, test)


def _run(
    training: Training, folder: Path, prefix: str, config: Config, name: str, told: Told
) -> bool:
    """Trains to the end, and keeps each epoch; False if nothing was left to do."""
    from ....frontends.training.kept import read_state, write_log, write_state
    from ...report.training import learning

    state = folder / f"{prefix}{STATE}"
    if state.exists():
        training.restore(read_state(state, config.settings))
    told.stage(name, training)
    began = len(training.epochs)
    for epoch in training:
        write_log(folder / f"{prefix}{LOG}", training.epochs)
        write_state(state, training.state(), config.settings)
        told.epoch(epoch)
    learning(training.epochs, folder / f"{prefix}{PICTURE}")
    return len(training.epochs) > began


def _network(config: Config) -> FrameModel:
    """Of the zoo, new or from a checkpoint. Raises InputError (SFX-E120, E121, those of `load`)."""
    from ....frontends import zoo

    if config.start is not None:
        return _finished(config.start)
    fields = {k: v for k, v in config.model.items() if k != "name"}
    return zoo.build(str(config.model["name"]), fields)  # type: ignore[return-value]  # as all are


def _finished(path: Path) -> FrameModel:
    """A checkpoint's network, in `eval()`."""
    from ....frontends.checkpoints.load import load_torch

    return load_torch(path)[0]  # type: ignore[return-value]  # a file that names its architecture


def _calibration(config: Config, learned: Samples, steps: int) -> torch.Tensor:
    """Training samples spread evenly over all, uint8 [K, T, ...]. Raises SFX-E618 for silence."""
    import torch

    count = min(config.data.calibration, len(learned.labels))
    x = learned.batch(torch.arange(count) * len(learned.labels) // count, None)
    x = x.to(torch.uint8)
    calibration_of(x)
    return x.expand(-1, steps, *x.shape[2:]).contiguous() if x.shape[1] == 1 else x


def _costs(model: nn.Module, calibration: torch.Tensor) -> Mapping[str, float]:
    """Synops of one spike of each module that sends spikes, as the network compiles now.

    Neurons, and pools, whose spikes are what the next layer receives; what residual sums and
    products send counts with the spikes that make them send it.
    """
    from ....frontends.training.activity import senders
    from ...compiler.cost.synops import synops_per_spike
    from .compiling import compile
    from .running import run

    was = model.training
    bundle = compile(model.eval(), ROOMY, calibrate=calibration.numpy(), check=False)
    model.train(was)
    counts = run(bundle, calibration.numpy()).counts
    return synops_per_spike(bundle.program, counts, senders(model))


def _tested(training: Training, path: Path, test: Samples | None) -> Trained:
    right = None if test is None else training.correct(test)
    return Trained(path, tuple(training.epochs), right, 0 if test is None else len(test.labels))


def interval(right: int, samples: int, level: float = 0.95) -> tuple[float, float]:
    """Exact confidence interval of an accuracy (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, samples - right + 1))
    high = 1.0 if right == samples else float(beta.ppf(1 - tail, right + 1, samples - right))
    return low, high
