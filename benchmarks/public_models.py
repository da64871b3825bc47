"""Public spiking transformers from the authors' own code, at a small size: which compile?

    python benchmarks/public_models.py FOLDER [NAME ...]   run the named ones, or all
    python benchmarks/public_models.py --table             write the table of docs/models.md again

FOLDER holds checkouts of the repositories in `authors_code.REPOSITORIES`, each under its name
there. Needs spikingjelly 0.0.0.0.12 (0.0.0.0.14 for SpikingResformer), timm 0.6, torchvision and
einops beside sfx, where the code asks for them; nothing of that code is here. Norms are made
random, so that spikes flow; every neuron layer is compared with torch.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from authors_code import REPOSITORIES, load, on_cpu

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "benchmarks" / "public_models.json"
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- written by benchmarks/public_models.py -->", "<!-- end -->"


@dataclass(frozen=True)
class Case:
    """One network: where its code is, and a small configuration.

    folder      of the checkout, in `authors_code.REPOSITORIES`
    file        in the checkout
    build       the class or function in that file
    shape       of one step of the input
    steps       T
    layout      what forward() takes
    attributes  set on the built network, as the authors' scripts do
    """

    title: str
    folder: str
    file: str
    build: str
    arguments: Mapping[str, Any]
    shape: tuple[int, ...] = (3, 32, 32)
    steps: int = 4
    layout: str = "B"
    attributes: Mapping[str, Any] = field(default_factory=dict)


IMAGES = {"img_size_h": 32, "img_size_w": 32, "in_channels": 3, "num_classes": 10}
DVS = {"img_size_h": 32, "img_size_w": 32, "in_channels": 2, "num_classes": 10}
SMALL = {"embed_dims": 32, "num_heads": 2, "mlp_ratios": 2, "depths": 1, "T": 4}
META = {"patch_size": 16, "num_heads": 4, "mlp_ratios": 4, "qkv_bias": False, "depths": 8}
MAX, SGL, STATTEN, RES = "MaxFormer", "SGLFormer", "STAtten", "SpikingResformer"
SDT, V2, V3 = (f"Spike-Driven-Transformer{version}" for version in ("", "-V2", "-V3"))
MODEL, NET = "model/spikeformer.py", "SpikeDrivenTransformer"
V3_FILE = "SDT_V3/Classification/Model_Base/models.py"
V3_LARGE = "SDT_V3/Classification/Model_Large/spikformer.py"

CASES: Mapping[str, Case] = {
    "maxformer": Case(
        "MaxFormer, CIFAR", MAX, "cifar10-100/max_former.py", "Max_Former",
        {"in_channels": 3, "num_classes": 10, "embed_dims": 32, "mlp_ratios": 2, "T": 4},
        (3, 16, 16),
    ),
    "maxformer-dvs": Case(
        "MaxFormer, event frames", MAX, "event/max_former.py", "Max_Former",
        {"in_channels": 2, "num_classes": 10, "embed_dims": 32, "mlp_ratios": 2},
        (2, 32, 32), layout="BT",
    ),
    "maxformer-imagenet": Case(
        "MaxFormer, ImageNet", MAX, "imagenet/max_former.py", "Max_Former",
        {"in_channels": 3, "num_classes": 10, "embed_dims": 64, "mlp_ratios": 2, "T": 4},
    ),
    "sdt-dvs": Case(
        "Spike-driven Transformer, dvs_mode", SDT, MODEL, NET,
        DVS | SMALL | {"pooling_stat": "1111", "dvs_mode": True}, (2, 32, 32), layout="BT",
    ),
    "sdt-v2": Case(
        "Spike-driven Transformer V2", V2, "classification/models.py", "Spiking_vit_MetaFormer",
        IMAGES | META | {"embed_dim": [8, 16, 32, 40]}, steps=2, attributes={"T": 2},
    ),
    "sdt-v3": Case(
        "Spike-driven Transformer V3 (E-SpikeFormer)", V3, V3_FILE,
        "Spiking_vit_MetaFormer_Spike_SepConv",
        IMAGES | META | {"embed_dim": [8, 16, 24, 32]}, steps=1,
    ),
    "sdt-v3-large": Case(
        "Spike-driven Transformer V3, 171M (Model_Large)", V3, V3_LARGE, "Spikformer",
        {"T": 1, "choice": "large", "embed_dim": [16, 32, 48], "num_heads": 4, "depths": 2,
         "nb_classes": 10, "kd": False},
        steps=1,
    ),
    "statten": Case(
        "STAtten, chunks of 2 steps", STATTEN, MODEL, NET,
        IMAGES | SMALL | {"pooling_stat": "1100", "chunk_size": 2},
    ),
    "statten-whole": Case(
        "STAtten, one chunk (chunk_size = T)", STATTEN, MODEL, NET,
        IMAGES | SMALL | {"pooling_stat": "1100", "chunk_size": 4},
    ),
    "statten-sdt": Case(
        "STAtten, attention_mode SDT", STATTEN, MODEL, NET,
        IMAGES | SMALL | {"pooling_stat": "1100", "attention_mode": "SDT"},
    ),
    "sglformer": Case(
        "SGLFormer, CIFAR", SGL, "cifar10/sglformer.py", "vit_snn",
        {"in_channels": 3, "num_classes": 10, "embed_dims": 24, "num_heads": 2, "mlp_ratios": 2,
         "depths": 1, "T": 4},
    ),
    "sglformer-imagenet": Case(
        "SGLFormer, ImageNet", SGL, "imagenet/sglformer_ima.py", "sglformer_ima",
        IMAGES | {"embed_dims": 48, "num_heads": 2, "mlp_ratios": 2, "depths": 3, "T": 4},
    ),
    "spikingresformer": Case(
        "SpikingResformer, CIFAR", RES, "models/spikingresformer.py", "spikingresformer_cifar",
        {"num_classes": 10, "img_size": 32, "T": 4},
    ),
}  # fmt: skip


def main() -> int:
    """Run, or write the page."""
    words = sys.argv[1:]
    if words[:1] == ["--table"]:
        PAGE.write_text(with_table(PAGE.read_text()))
        return 0
    if not words:
        raise SystemExit(__doc__)
    if words[:1] == ["--one"]:
        print(json.dumps(run(CASES[words[2]], Path(words[1]))))
        return 0
    known = json.loads(STORE.read_text()) if STORE.exists() else {}
    for name in words[1:] or CASES:
        command = [sys.executable, __file__, "--one", words[0], name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        known[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, known[name]["result"], flush=True)
        STORE.write_text(json.dumps({k: known[k] for k in CASES if k in known}, indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text()))
    return 0


def network(case: Case, folder: Path) -> Any:
    """The authors' network, built from their file, with random norms."""
    import torch

    module = load(folder, f"{case.folder}/{case.file}")
    torch.manual_seed(0)
    model = getattr(module, case.build)(**case.arguments)
    for name, value in case.attributes.items():
        setattr(model, name, value)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                norm.weight.uniform_(1.0, 2.5)
                norm.bias.uniform_(-0.2, 1.0)
                norm.running_mean.normal_(0, 0.1)
                norm.running_var.uniform_(0.2, 0.6)
        for path, buffer in model.named_buffers():
            if "firing_rate" in path:  # what training finds; 0 in a network without it
                buffer.fill_(0.25)
    return model.eval()


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Export beside torch, and compile for Loihi 2; what came of it."""
    import numpy as np
    import torch

    import sfx
    from sfx.toolchain.ground.errors import SfxError

    torch.set_num_threads(1)
    on_cpu()
    repository, commit = REPOSITORIES[case.folder]
    record: dict[str, Any] = {"title": case.title, "repository": repository, "commit": commit}
    record |= {key: value for key, value in asdict(case).items() if key != "folder"}
    rng = np.random.default_rng(0)
    example = torch.from_numpy(rng.integers(0, 2, (case.steps, 1, *case.shape))).float()
    frames = (2, *([case.steps] if case.layout != "B" else []), *case.shape)
    data = rng.integers(0, 2, frames)
    try:
        graph = sfx.export(network(case, folder), example, input_layout=case.layout)
        bundle = sfx.compile(graph, calibrate=data, target="hala-point")
    except SfxError as error:
        said = [f"{p.code} {p.where.partition(' (')[0]}: {p.what}" for p in error.problems]
        places = [re.sub(r"\.\d+\.", ".N.", s) for s in said]
        return record | {"result": "refused", "why": list(dict.fromkeys(places))}
    program = bundle.program
    return record | {
        "result": "compiles",
        "why": [],
        "populations": len(program.populations),
        "neurons": sum(p.size for p in program),
    }


def with_table(page: str) -> str:
    """The page with the section of public models at its end."""
    rows = json.loads(STORE.read_text())
    head = f"""{BEGIN}

## From the authors' own code

Public code, untouched and at a small size, with random live norms: exported, every neuron layer
compared with torch, and compiled. The zoo's networks (Spikformer, Spikingformer, Spike-driven
Transformer v1 to v3, STAtten, QKFormer, Max-Former, SGLFormer) are compared with their authors'
code at the published configurations in [checkpoints.md](checkpoints.md). Written by
`python benchmarks/public_models.py FOLDER`.

What is refused, and what to use instead:

* **SpikingResformer**: its attention multiplies spikes with currents, BN(W s), which no neuron has
  made spikes; a product on the chip takes whole numbers (SFX-E303). With a neuron behind `norm`
  they are products of spikes. No other part of the network was refused.
* **SGLFormer for CIFAR and events**: the read-out `full_size_conv` weighs every time step by itself
  (SFX-E104). The networks for ImageNet take the mean over the steps, and compile.
* **Spike-driven V3, Model_Large**: `Multispike` is floor(clamp(x, 0, D) + 0.5), which rounds halves
  up. Model_Base has torch.round, and compiles. The 83M network of that file (`choice="base"`) does
  not run in torch: its block reads `B`, `C` and `N`, which are not defined.

| model | code | result | why |
|---|---|---|---|
"""
    lines = [
        f"| {r['title']} | [{r['repository']}](https://github.com/{r['repository']}/tree/"
        f"{r['commit']}) `{r['file']}` | {_result(r)} | {'; '.join(r['why'][:4]) or '-'} |"
        for r in rows.values()
    ]
    before = page.partition(BEGIN)[0].rstrip()
    return f"{before}\n\n{head}" + "\n".join(lines) + f"\n{END}\n"


def _result(row: Mapping[str, Any]) -> str:
    if row["result"] != "compiles":
        return "refused"
    return f"compiles: {row['populations']} populations, {row['neurons']:,} neurons"


if __name__ == "__main__":
    sys.exit(main())
