"""Fine-tunes a trained example in integers, compares it with its Program, and keeps the figures.

    python examples/qat.py digits --bits 3
    python examples/qat.py digits --bits 4 --rate 2e-3
    python examples/qat.py nmnist nmnist_small.npz --bits 4
    python examples/qat.py mnist mnist.npz --bits 4 --samples 12000

Starts from FOLDER/model.pt and writes FOLDER/qatBITS.safetensors (for `sfx compile`) and
FOLDER/qatBITS.json. `sfx.qat.prepare` quantizes once; then the loop below is any torch loop: Adam
with a one-cycle rate, samples moved as in training, the loss of the labels plus the divergence from
the float model's logits. The last epoch's weights are kept. `--hold-out` sets a tenth of the
training samples aside, reports them after every epoch, moved by up to two pixels (the float model
has seen the originals), and saves nothing: choose rates and epochs with it. Without it the test set
is looked at once, at the end, where every value of every population is compared with the Program on
the reference backend (`--compare N`: on N samples).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from quick import quicken, see_once  # noqa: E402  # beside this file
from training import Recipe, Samples, interval, moved  # noqa: E402

import sfx  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer  # noqa: E402

HELD_OUT = 10  # every 10th training sample
HELD_SAMPLES = 1000  # so many moved copies of them, at least
SMOOTHING = 0.1  # of the labels
EVALUATED = 100  # samples of one batch without gradients


@dataclass(frozen=True)
class Example:
    """Where the data and the model are, and how samples are moved."""

    folder: str
    recipe: Recipe
    image: bool = False


EXAMPLES = {
    "digits": Example(
        "spikeformer", Recipe(8, 64, 4e-3, shift=2.0, turn=0.0, stretch=0.0, mode="nearest")
    ),
    "nmnist": Example("nmnist", Recipe(12, 32, 1e-3, mode="nearest")),
    "mnist": Example("mnist", Recipe(2, 64, 1e-3, shift=1.0, turn=6.0, stretch=0.06), image=True),
}


def samples(example: Example, file: Path | None, split: str) -> Samples:
    """One split of an example's data."""
    module = _module(HERE / example.folder / "data.py")
    if example.folder == "spikeformer":
        recording = module.load(split)
        return Samples(torch.from_numpy(recording.x), torch.from_numpy(recording.y))
    return Samples(*map(torch.from_numpy, module.load(file, split)))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def tune(
    model: sfx.qat.QatModel, teacher: Spikeformer, data: Samples, recipe: Recipe
) -> Iterator[tuple[float, float]]:
    """Trains `model` in place; after each epoch yields its mean loss and training accuracy."""
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = teacher.config.timesteps
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    batches = -(-len(data.y) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.rate, total_steps=recipe.epochs * batches, pct_start=0.1
    )
    for _ in range(recipe.epochs):
        total, right = 0.0, 0
        for index in torch.randperm(len(data.y), generator=generator).split(recipe.batch):
            part = Samples(moved(data.x[index].float(), recipe, generator), data.y[index])
            ((x, y),) = part.batches(len(index), steps)
            with torch.no_grad():
                wanted = functional.log_softmax(teacher(x), 1)
            logits = model(x)
            loss = functional.cross_entropy(logits, y, label_smoothing=SMOOTHING)
            loss = loss + functional.kl_div(
                functional.log_softmax(logits, 1), wanted, log_target=True, reduction="batchmean"
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(y)
            right += int((logits.argmax(1) == y).sum())
        yield total / len(data.y), right / len(data.y)


def harder(data: Samples, recipe: Recipe) -> Samples:
    """Copies of held-out samples, each moved by up to two pixels."""
    copies = data.subset(torch.arange(max(HELD_SAMPLES, len(data.y))) % len(data.y))
    recipe = replace(recipe, shift=2.0)
    generator = torch.Generator().manual_seed(recipe.seed)
    return Samples(moved(copies.x.float(), recipe, generator), copies.y)


def correct(model: torch.nn.Module, data: Samples, steps: int) -> int:
    """How many of the samples are classified correctly."""
    with torch.no_grad():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in data.batches(EVALUATED, steps))


def run(name: str, bits: int, options: argparse.Namespace) -> dict[str, Any]:
    """Prepare, tune, compare and save one model; the figures."""
    example = EXAMPLES[name]
    recipe = Recipe(**{**vars(example.recipe), **_given(options)})
    checkpoint = HERE / example.folder / "model.pt"
    teacher = load(checkpoint)
    steps = teacher.config.timesteps
    train = samples(example, options.data, "train")
    held = torch.arange(len(train.y)) % HELD_OUT == 0
    held &= torch.tensor(options.hold_out)
    learned, last = train.subset(~held), train.subset(held)
    if options.samples:
        learned = learned.subset(torch.arange(options.samples) * len(learned.y) // options.samples)
    started = time.process_time()
    model = sfx.qat.prepare(checkpoint, options=sfx.qat.Options(bits=bits))
    print(f"{name}, {bits} bits: prepared in {time.process_time() - started:.0f} s of CPU")
    last = harder(last, recipe) if options.hold_out else samples(example, options.data, "test")
    quicken(teacher)
    if example.image:
        see_once(teacher)
    figures: dict[str, Any] = {"example": name, "bits": bits, "samples": len(last.y)}
    figures |= {"float": correct(teacher, last, steps), "ptq": correct(model, last, steps)}
    for epoch, (loss, right) in enumerate(tune(model, teacher, learned, recipe), 1):
        line = f"epoch {epoch:3d}  loss {loss:.4f}  train {100 * right:6.2f} %"
        if options.hold_out:
            line += f"  held out {correct(model, last, steps)} of {len(last.y)}"
        print(f"{line}  {time.process_time() - started:6.0f} s of CPU", flush=True)
    figures["qat"] = correct(model, last, steps)
    figures |= {"epochs": recipe.epochs, "trained_on": len(learned.y), "rate": recipe.rate}
    figures["qat_interval"] = [round(v, 5) for v in interval(figures["qat"], len(last.y))]
    if not options.hold_out:
        figures |= _compare(model, last, steps, options.compare)
        sfx.qat.save(model, HERE / example.folder / f"qat{bits}.safetensors")
        (HERE / example.folder / f"qat{bits}.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _given(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {"epochs": options.epochs, "rate": options.rate}
    return {k: v for k, v in chosen.items() if v is not None}


def _compare(
    model: sfx.qat.QatModel, data: Samples, steps: int, limit: int | None
) -> dict[str, Any]:
    """Torch against the Program, every value of every population."""
    x = data.x[:limit].numpy().astype(np.int64)
    if x.shape[1] != steps:
        x = np.broadcast_to(x, (len(x), steps, *x.shape[2:]))
    found = sfx.qat.verify(model, x)
    return {
        "compared_samples": found.samples,
        "compared_values": found.compared,
        "mismatches": found.mismatches,
        "populations": found.populations,
        "silent": list(found.silent),
    }


def main() -> None:
    """Runs every number of bits and prints its figures."""
    parser = argparse.ArgumentParser(description="Fine-tune an example in integers.")
    parser.add_argument("example", choices=EXAMPLES)
    parser.add_argument("data", type=Path, nargs="?", help="the file of MNIST or N-MNIST")
    parser.add_argument("--bits", type=int, nargs="+", default=[4])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--samples", type=int, help="train on so many samples only")
    parser.add_argument("--compare", type=int, help="test samples to compare; default all")
    parser.add_argument("--hold-out", action="store_true", help="set a tenth aside, save nothing")
    options = parser.parse_args()
    if options.data is None and options.example != "digits":
        parser.error(f"{options.example} needs its data file")
    torch.set_num_threads(1)  # sums in one order
    for bits in options.bits:
        print(json.dumps(run(options.example, bits, options)), flush=True)


if __name__ == "__main__":
    main()
