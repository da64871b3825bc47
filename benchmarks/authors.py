"""Run the authors' code of the published networks beside ours, on the same checkpoint.

    python benchmarks/authors.py FOLDER [TITLE ...]  # compare at the published sizes
    python benchmarks/authors.py FOLDER --golden     # facts for CI: tests/unit/zoo/authors.json
    python benchmarks/authors.py --page              # the table of docs/checkpoints.md

FOLDER holds checkouts of the repositories in `authors_code.REPOSITORIES`, each under its name
there. Needs an environment with timm 0.6.12, SpikingJelly 0.0.0.0.12, einops and torchinfo beside
sfx. On a CPU SpikingJelly has no cupy kernel: its own torch one is taken, nothing else is changed.

Their network gets random weights and batch norms whose statistics one pass in training sets, so
that every layer fires. Its state_dict is written as a checkpoint and read through sfx's door. Then
every spike of every neuron layer, and the logits, are compared at B = 1 and B = 2: first with both
networks running free, and where one spike differs, once more with their spikes put into our layers,
so that each layer is compared on equal input. Then what remains is float32's rounding, where the
authors write another layer for the same sum (a Conv2d of 1x1 for our Conv1d): in float64, with the
same weights, every spike is compared once more at B = 2.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from authors_cases import CASES, CLASSES, Case
from authors_code import REPOSITORIES, load, on_cpu
from authors_seeds import digest, frames, state
from torch import Tensor, nn

from sfx.frontends.checkpoints.load import load_torch
from sfx.frontends.neurons.integer import MultiSpike
from sfx.frontends.neurons.multistep import MultiStep

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "benchmarks" / "authors.json"
GOLDEN = ROOT / "tests" / "unit" / "zoo" / "authors.json"
PAGE = ROOT / "docs" / "checkpoints.md"
MARKS = "<!-- written by benchmarks/authors.py -->", "<!-- end -->"


def theirs(case: Case, folder: Path, tiny: bool = False) -> nn.Module:
    """The authors' network, built as their training script builds it."""
    module = load(folder, case.file)
    arguments = dict(case.arguments)
    if case.settings:
        arguments = _of_settings(folder / case.settings)
    build = getattr(module, case.build)
    if tiny:
        assert case.tiny is not None
        arguments |= case.tiny[0]
        build = next(getattr(module, name) for name in CLASSES if hasattr(module, name))
    model: nn.Module = build(**arguments)
    if case.steps:
        model.T = case.steps  # type: ignore[assignment]  # as main_finetune.py does
    return model


def _of_settings(file: Path) -> dict[str, Any]:
    """Arguments of the factory as train.py makes them of its defaults and a yml file."""
    import yaml

    args = {"num_heads": 8, "mlp_ratio": 4, "in_channels": 3, "pooling_stat": "1111"}
    args |= {"time_steps": 4, "layer": 4, "TET": False, "patch_size": None}
    args |= yaml.safe_load(file.read_text())
    return {
        "T": args["time_steps"],
        "num_heads": args["num_heads"],
        "num_classes": args["num_classes"],
        "pooling_stat": args["pooling_stat"],
        "img_size_h": args["img_size"],
        "img_size_w": args["img_size"],
        "patch_size": args["patch_size"] or 16,  # counts tokens that nobody reads
        "embed_dims": args["dim"],
        "mlp_ratios": args["mlp_ratio"],
        "in_channels": args["in_channels"],
        "qkv_bias": False,
        "depths": args["layer"],
        "sr_ratios": 1,
        "spike_mode": "lif",
        "dvs_mode": args["dataset"] in ("cifar10-dvs-tet", "cifar10-dvs", "ncaltech101"),
        "TET": args["TET"],
    } | ({"chunk_size": args["chunk_size"]} if "chunk_size" in args else {})


def preset(case: Case) -> Any:
    """Our config of the case."""
    module = importlib.import_module(f"sfx.frontends.zoo.{case.model}")
    return getattr(module, case.model.upper())[case.preset]


def ours(case: Case, config: Any, weights: dict[str, Tensor]) -> nn.Module:
    """Our network with these weights under the authors' keys, through the door that users take."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "theirs.pt"
        content = {"sfx": 1, "model": case.model, "config": config.to_mapping()}
        torch.save(content | {"state_dict": weights}, path)
        model, _, _ = load_torch(path)
    return model


def logits_of(case: Case, model: nn.Module, x: Tensor) -> Tensor:
    """Logits [B, classes] of their network for x [T, B, C, H, W], as their evaluation has them."""
    from spikingjelly.clock_driven import functional

    functional.reset_net(model)
    with torch.no_grad():
        y = model(x.transpose(0, 1) if case.events else x[0])
    y = y[0] if isinstance(y, tuple) else y
    return y.mean(0) if y.dim() == 3 else y  # TET: the mean of all steps


def wake(case: Case, model: nn.Module, x: Tensor) -> nn.Module:
    """Batch norms get the statistics of x in one pass in training."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = None  # type: ignore[assignment]  # torch: a cumulative average
            module.reset_running_stats()
    model.train()
    logits_of(case, model, x)
    return model.eval()


class PerSample(nn.Module):
    """A neuron that the code runs over T * B steps, run over T for each sample instead."""

    def __init__(self, neuron: nn.Module, steps: int) -> None:
        super().__init__()
        self.neuron, self.steps = neuron, steps

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of x [T * B, C, N]."""
        spikes: Tensor = self.neuron(x.reshape(self.steps, -1, *x.shape[1:]))
        return spikes.flatten(0, 1)


def decouple(case: Case, model: nn.Module, steps: int) -> None:
    """Every neuron of `case.coupled` runs over T, sample by sample."""
    for path, module in list(model.named_modules()):
        if any(fnmatch(path, pattern) for pattern in case.coupled.split()):
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, PerSample(module, steps))


def is_neuron(module: nn.Module) -> bool:
    """Whether the module is a neuron layer, of the authors' or of ours."""
    from spikingjelly.clock_driven.neuron import BaseNode

    integer = type(module).__name__ == "MultiSpike" and not list(module.children())
    return isinstance(module, (BaseNode, MultiStep)) or integer


def sent(module: nn.Module, y: Tensor) -> Tensor:
    """What the neurons of a layer sent, of their output y: bool, or whole numbers (uint8)."""
    norm = getattr(module, "Norm", getattr(module, "norm", None))  # theirs, ours
    return y.bool() if norm is None else torch.round(y * norm).to(torch.uint8)


def record(model: nn.Module, run: Callable[[], Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """What every neuron layer that ran has sent, by its path, and what `run` gave."""
    found: dict[str, Tensor] = {}
    handles = []
    for path, module in model.named_modules():
        if is_neuron(module):

            def keep(m: Any, _i: Any, y: Tensor, path: str = path) -> None:
                found[path.removesuffix(".neuron")] = sent(m, y)

            handles.append(module.register_forward_hook(keep))
    y = run()
    for handle in handles:
        handle.remove()
    return found, y


def laid_out(case: Case, spikes: Tensor, shape: torch.Size) -> Tensor:
    """Their spikes in our order of axes."""
    if case.tokens and spikes.dim() == 4:
        spikes = spikes.transpose(-1, -2)
    return spikes.reshape(shape)


def compare(
    case: Case, model: nn.Module, mine: nn.Module, x: Tensor, forced: bool = False
) -> dict[str, Any]:
    """Every spike and the logits; `forced` puts their spikes into our layers after comparing."""
    truth, logits = record(model, lambda: logits_of(case, model, x))
    names = {mine.keys.rename(path): path for path in truth}  # type: ignore[operator,union-attr]
    counts: dict[str, list[int]] = {}
    handles = []
    for path, module in mine.named_modules():
        if is_neuron(module):

            def check(m: Any, _i: Any, y: Tensor, path: str = path) -> Tensor | None:
                right = laid_out(case, truth[names[path]], y.shape)
                counts[path] = [y.numel(), int(right.sum()), int((right != sent(m, y)).sum())]
                norm = m.norm if isinstance(m, MultiSpike) else 1.0
                return right.to(y.dtype) / norm if forced else None

            handles.append(module.register_forward_hook(check))
    with torch.no_grad():
        y = mine(x)
    for handle in handles:
        handle.remove()
    if set(counts) != set(names):
        raise SystemExit(f"{case.title}: layers {set(counts) ^ set(names)} have no partner")
    totals = np.array(list(counts.values())).sum(0)
    return {
        "layers": len(counts),
        "compared": int(totals[0]),
        "spikes": int(totals[1]),
        "differ": int(totals[2]),
        "first": next((p for p in counts if counts[p][2]), ""),
        "silent": [p for p in counts if not counts[p][1]],
        "logits": float((y - logits).abs().max()),
        "scale": float(logits.abs().max()),
    }


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """One published configuration at its real size, in float32."""
    torch.manual_seed(0)
    start = time.time()
    config = preset(case)
    model = theirs(case, folder)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 1.0, 3.0)
            nn.init.uniform_(module.bias, -0.25, 1.25)
    steps, _, *frame = config.input_shape
    x = torch.from_numpy(frames(0, steps, 2, *frame, events=case.events)).float()
    wake(case, model, x)
    weights = model.state_dict()
    mine = ours(case, config, weights)
    row: dict[str, Any] = {
        "repository": REPOSITORIES[case.repository][0],
        "commit": REPOSITORIES[case.repository][1][:7],
        "file": "/".join(case.file.split("/")[1:]),
        "preset": f"{case.model} {case.preset}",
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "ours": sum(p.numel() for p in mine.parameters()),
    }
    if case.coupled:
        row["B=2 as written"] = compare(case, model, mine, x)
    row["B=1"] = _free_and_forced(case, model, mine, x[:, :1])
    decouple(case, model, steps)
    row["B=2"] = _free_and_forced(case, model, mine, x)
    if row["B=1"]["differ"] or row["B=2"]["differ"]:
        row["float64"] = compare(case, model.double(), mine.double(), x.double())
    return row | {"seconds": round(time.time() - start, 1), "day": time.strftime("%Y-%m-%d")}


def _free_and_forced(case: Case, model: nn.Module, mine: nn.Module, x: Tensor) -> dict[str, Any]:
    found = compare(case, model, mine, x)
    if found["differ"]:
        found["forced"] = compare(case, model, mine, x, forced=True)["differ"]
    return found


def golden(case: Case, folder: Path) -> dict[str, Any]:
    """What their code makes of seeded weights, in float64, small: facts for the tests."""
    from dataclasses import replace

    assert case.tiny is not None
    config = replace(preset(case), **case.tiny[1])
    model = theirs(case, folder, tiny=True)
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state(shapes).items()})
    model.double()
    steps, _, *frame = config.input_shape
    x = torch.from_numpy(frames(1, steps, 2, *frame, events=case.events))
    wake(case, model, x[:, : case.woken])
    decouple(case, model, steps)
    truth, logits = record(model, lambda: logits_of(case, model, x))
    spikes = {}
    for path, found in truth.items():
        if case.tokens and found.dim() == 4:
            found = found.transpose(-1, -2)
        spikes[path] = digest(found.reshape(steps, 2, -1).numpy())
    silent = [p for p, (n, _) in spikes.items() if not n]
    if silent:
        raise SystemExit(f"{case.title}: silent {silent}")
    return {
        "model": case.model,
        "preset": case.preset,
        **({"woken": case.woken} if case.woken > 1 else {}),
        "changes": {k: list(v) if isinstance(v, tuple) else v for k, v in case.tiny[1].items()},
        "events": case.events,
        "parameters": sum(p.numel() for p in model.parameters()),
        "shapes": _short(shapes),
        "spikes": spikes,
        "logits": [[float(f"{v:.9g}") for v in row] for row in logits.tolist()],
    }


def _short(shapes: dict[str, tuple[int, ...]]) -> dict[str, list[int]]:
    """Batch norms as their `running_var` alone: the other four keys follow from it."""
    norms = {k.removesuffix("running_var") for k in shapes if k.endswith("running_var")}
    return {
        k: list(v)
        for k, v in shapes.items()
        if k.endswith("running_var") or f"{k.rpartition('.')[0]}." not in norms
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("titles", nargs="*")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.page or args.folder is None:
        write_page()
        return 0
    on_cpu()
    store = GOLDEN if args.golden else STORE
    found = json.loads(store.read_text()) if store.exists() else {}
    for title, case in CASES.items():
        if args.titles and not any(t in title for t in args.titles):
            continue
        if args.golden and case.tiny is None:
            continue
        found[title] = (golden if args.golden else measure)(case, args.folder.resolve())
        gc.collect()
        print(title, json.dumps({k: v for k, v in found[title].items() if k[:2] == "B="}))
        lines = [f"{json.dumps(t)}: {json.dumps(found[t])}" for t in CASES if t in found]
        store.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


def write_page() -> None:
    """Put the table of `STORE` between the marks of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}", encoding="utf-8")


def table() -> str:
    """One row per configuration, as Markdown."""
    head = "authors' configuration", "preset", "parameters", "T", "values compared", "spikes"
    head += "differ: B = 1", "B = 2", "logits: B = 1", "B = 2"
    rows = [head, ("---",) * len(head)]
    for title, row in json.loads(STORE.read_text(encoding="utf-8")).items():
        one, two = row["B=1"], row["B=2"]
        values = f"{one['compared'] + two['compared']:,}", f"{one['spikes'] + two['spikes']:,}"
        where = f"`{row['preset'].split()[1]}`", f"{row['parameters']:,}", str(row["steps"])
        found = [_differ(row, b) for b in ("B=1", "B=2")] + [_logits(r) for r in (one, two)]
        rows.append((title, *where, *values, *found))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _differ(row: dict[str, Any], batch: str) -> str:
    """Spikes that differ in float32, with equal input to every layer, and in float64."""
    run = row[batch]
    if run["silent"]:
        return f"{len(run['silent'])} layers silent"
    if not run["differ"]:
        return "0"
    double = f"; float64: {row['float64']['differ']:,}" if "float64" in row else ""
    return f"{run['differ']:,} ({run['forced']:,}{double})"


def _logits(run: dict[str, Any]) -> str:
    return "equal" if run["logits"] == 0 else f"{run['logits'] / run['scale']:.0e}"


if __name__ == "__main__":
    sys.exit(main())
