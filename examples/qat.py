"""Fine-tunes a trained example in integers, compares it with its Program, and keeps the figures.

    python examples/qat.py digits --bits 3
    python examples/qat.py digits --bits 4 --rate 2e-3
    python examples/qat.py nmnist nmnist_small.npz --bits 4
    python examples/qat.py mnist mnist.npz --bits 4 --samples 12000

Starts from FOLDER/model.pt and writes FOLDER/qatBITS.safetensors (for `sfx compile`) and
FOLDER/qatBITS.json. `sfx.qat.prepare` quantizes once; then it is trained as any torch model: Adam
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
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
import sfx  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.training import Arrays, Augment, Recipe, Training, interval  # noqa: E402

HELD_OUT = 10  # every 10th training sample
HELD_SAMPLES = 1000  # so many moved copies of them, at least


@dataclass(frozen=True)
class Example:
    """Where the data and the model are, how long and how fast it is tuned, and how samples move."""

    folder: str
    epochs: int
    batch: int
    rate: float
    augment: Augment


EXAMPLES = {
    "digits": Example("spikeformer", 8, 64, 4e-3, Augment(shift=2.0)),
    "nmnist": Example("nmnist", 12, 32, 1e-3, Augment(2.0, 10.0, 0.1)),
    "mnist": Example("mnist", 2, 64, 1e-3, Augment(1.0, 6.0, 0.06, "bilinear")),
}


def samples(example: Example, file: Path | None, split: str) -> Arrays:
    """One split of an example's data."""
    module = _module(HERE / example.folder / "data.py")
    if example.folder == "spikeformer":
        recording = module.load(split)
        return Arrays.of(recording.x, recording.y)
    return Arrays.of(*module.load(file, split))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def harder(data: Arrays, augment: Augment) -> Arrays:
    """Copies of held-out samples, each moved by up to two pixels."""
    index = torch.arange(max(HELD_SAMPLES, len(data.labels))) % len(data.labels)
    x = torch.from_numpy(data.x[index.numpy()]).float()
    moved = replace(augment, shift=2.0)(x, torch.Generator().manual_seed(1))
    return Arrays(moved.to(torch.uint8).numpy(), data.labels[index])


def run(name: str, bits: int, options: argparse.Namespace) -> dict[str, Any]:
    """Prepare, tune, compare and save one model; the figures."""
    example = EXAMPLES[name]
    recipe = Recipe(
        epochs=options.epochs or example.epochs,
        batch=example.batch,
        rate=options.rate or example.rate,
        optimizer="adam",
        warmup=0.1,
        distill=1.0,
        partial=True,
        settle="no",
    )
    checkpoint = HERE / example.folder / "model.pt"
    teacher = load(checkpoint)
    steps = teacher.config.timesteps
    train = samples(example, options.data, "train")
    held = np.arange(len(train.labels)) % HELD_OUT == 0
    held &= options.hold_out
    learned, last = (Arrays(train.x[m], train.labels[m]) for m in (~held, held))
    if options.samples:
        chosen = np.arange(options.samples) * len(learned.labels) // options.samples
        learned = Arrays(learned.x[chosen], learned.labels[chosen])
    started = time.process_time()
    model = sfx.qat.prepare(checkpoint, options=sfx.qat.Options(bits=bits))
    print(f"{name}, {bits} bits: prepared in {time.process_time() - started:.0f} s of CPU")
    if options.hold_out:
        last = harder(last, example.augment)
    else:
        last = samples(example, options.data, "test")
    figures: dict[str, Any] = {"example": name, "bits": bits, "samples": len(last.labels)}
    training = Training(
        model, learned, recipe, steps=steps, augment=example.augment, teacher=teacher
    )
    floats = Training(teacher, learned, recipe, steps=steps, teacher=teacher)
    figures |= {"float": floats.correct(last), "ptq": training.correct(last)}
    for epoch in training:
        line = f"epoch {epoch.number:3d}  loss {epoch.loss:.4f}  train {100 * epoch.train:6.2f} %"
        if options.hold_out:
            line += f"  held out {training.correct(last)} of {len(last.labels)}"
        print(f"{line}  {time.process_time() - started:6.0f} s of CPU", flush=True)
    figures["qat"] = training.correct(last)
    figures |= {"epochs": recipe.epochs, "trained_on": len(learned.labels), "rate": recipe.rate}
    figures["qat_interval"] = [round(v, 5) for v in interval(figures["qat"], len(last.labels))]
    if not options.hold_out:
        figures |= _compare(model, last, steps, options.compare)
        sfx.qat.save(model, HERE / example.folder / f"qat{bits}.safetensors")
        (HERE / example.folder / f"qat{bits}.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _compare(
    model: sfx.qat.QatModel, data: Arrays, steps: int, limit: int | None
) -> dict[str, Any]:
    """Torch against the Program, every value of every population."""
    x = data.x[:limit].astype(np.int64)
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
