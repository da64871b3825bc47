"""Post-training quantization beside brevitas' on the same float nets, for docs/accuracy.md.

    python benchmarks/peer_nets.py NAME mnist.npz                 (trains: cnn, mlp, rows)
    python benchmarks/peers_brevitas.py mnist.npz                 (in an environment with brevitas)
    python benchmarks/peers.py mnist.npz [NAME ...] [--qat BITS]  (counts ours)
    python benchmarks/accuracy.py --page-only

All 10,000 test images each; the same 64 training samples choose scales and rounding. Ours is the
compiled Program on `fast`: decays, biases and membranes are integers too, where brevitas rounds
weights only. `--qat` fine-tunes at so many bits, and reads the bits that the weights have back from
the Program.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "benchmarks" / "peers.json"
BITS = (8, 4, 3, 2)
SAMPLES = 10_000
PEERS = {
    "cnn": "SpikingJelly CNN (hard reset)",
    "mlp": "snnTorch MLP (`Leaky` as it comes: the reset subtracts)",
    "rows": "snnTorch, recurrent (`RLeaky`), row by row",
}
METHODS = {
    "rtn-tensor": "nearest, tensor",
    "rtn-channel": "nearest, channel",
    "gptq-tensor": "GPTQ, tensor",
    "gptq-channel": "GPTQ, channel",
}
QAT = {"mlp": (3, 2e-3), "rows": (3, 2e-3), "cnn": (1, 1e-3)}
"""Epochs of 12,000 training images, and the rate."""
TUNED = 12_000


# --- counting ------------------------------------------------------------------------------------


def right(bundle: Any, name: str, data: Path) -> int:
    """Test images that a Program gets right."""
    import peer_nets

    import sfx

    images, labels = peer_nets.split(data, "test")
    found = 0
    for i in range(0, len(labels), 1000):
        x = peer_nets.PEERS[name].samples(images[i : i + 1000])
        found += int((sfx.run(bundle, x).predictions == labels[i : i + 1000]).sum())
    return found


def most_levels(bundle: Any) -> int:
    """Of the weights of any layer: different mantissas of one row's projections, 0 included."""
    from sfx.toolchain.ir.program import Conv2d, Dense

    weights = [
        j.connection.weight
        for j in bundle.program.projections
        if isinstance(j.connection, Conv2d | Dense) and bundle.program[j.pre].size > 1
    ]
    return max(len(np.unique(w)) for w in weights)


def ptq(name: str, data: Path) -> dict[str, Any]:
    """What `sfx.compile` makes of a net, by bits."""
    import peer_nets

    import sfx

    net, x = peer_nets.load(name), peer_nets.calibration(name, data)
    found: dict[str, Any] = {}
    for bits in BITS:
        started = time.process_time()
        bundle = sfx.compile(net, calibrate=x, options=sfx.qat.Options(bits=bits))
        took = time.process_time() - started
        found[str(bits)] = {
            "right": right(bundle, name, data),
            "seconds": round(took, 1),
            "levels": most_levels(bundle),
        }
        print(f"{name} {bits} bits: {found[str(bits)]}", flush=True)
    return found


def qat(name: str, data: Path, bits: int) -> dict[str, Any]:
    """The same fine-tuned, on the labels and the float net's answers."""
    import peer_nets
    import torch

    import sfx

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, peer = peer_nets.load(name), peer_nets.PEERS[name]
    options = sfx.qat.Options(bits=bits)
    model = sfx.qat.prepare(net, calibrate=peer_nets.calibration(name, data), options=options)
    images, labels = peer_nets.split(data, "train")
    chosen = np.arange(TUNED) * len(labels) // TUNED
    images, labels = images[chosen], labels[chosen]
    epochs, rate = QAT[name]
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * (TUNED // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    sharp = 4.0 if name == "mlp" else 1.0
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(TUNED)
        for b in range(TUNED // 64):
            own = order[b * 64 : b * 64 + 64]
            x = torch.from_numpy(peer.samples(images[own])).float().transpose(0, 1)
            with torch.no_grad():
                wanted = (net(x) * sharp).softmax(1)
            said = model(x) * sharp
            loss = torch.nn.functional.cross_entropy(said, torch.from_numpy(labels[own]))
            loss = loss + torch.nn.functional.kl_div(
                said.log_softmax(1), wanted, reduction="batchmean"
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"{name} QAT epoch {epoch + 1}: loss {float(loss):.3f}", flush=True)
    bundle = sfx.compile(model)
    test, _ = peer_nets.split(data, "test")
    equality = sfx.qat.verify(model, peer.samples(test[:200]))
    return {
        "right": right(bundle, name, data),
        "levels": most_levels(bundle),
        "compared": equality.compared,
        "mismatches": equality.mismatches,
        "epochs": epochs,
        "rate": rate,
    }


# --- the page ------------------------------------------------------------------------------------


def best(found: dict[str, Any], method: str, bits: int) -> int:
    """brevitas' better rule for a scale."""
    return max(int(found[f"{method}-{kind}-{bits}"]) for kind in ("max", "mse"))


def section(kept: dict[str, Any]) -> list[str]:
    """Lines of docs/accuracy.md."""
    version = next((k["brevitas"]["version"] for k in kept.values() if "brevitas" in k), "")
    lines = [
        "## Beside brevitas, and at 4 bits",
        "",
        "By `benchmarks/peers.py`: MNIST nets that others' libraries trained, all "
        f"{SAMPLES:,} test images, the same 64 training samples for everybody. brevitas {version} "
        "rounds weights only (to the nearest, or GPTQ; one scale for a tensor or each channel), of "
        "its two rules for a scale the one that is better on the test images. Ours is the whole "
        "integer Program. The interval is that of ours; bold: the most in a row.",
        "",
    ]
    for name, title in PEERS.items():
        if {"brevitas", "ptq"} <= set(kept.get(name, {})):
            lines += _table(title, kept[name])
    return [*lines, *_behind(kept)]


def _behind(kept: dict[str, Any]) -> list[str]:
    """Where ours has fewer right than the best of theirs, and whether that is more than chance."""
    from accuracy import wilson

    told = []
    for name, title in PEERS.items():
        found = kept.get(name, {})
        for bits in BITS if {"brevitas", "ptq"} <= set(found) else ():
            theirs = max(best(found["brevitas"], m, bits) for m in METHODS)
            ours = found["ptq"][str(bits)]["right"]
            if ours < theirs:
                within = theirs / SAMPLES <= wilson(ours, SAMPLES)[1]
                told.append(
                    f"* {title}, {bits} bits: {theirs - ours:,} images"
                    + (", within the interval" if within else "")
                )
    why = [
        "The recurrent layer has one exponent for all rows (with more, no scale of it is proved "
        "over 28 steps), and the membrane that is read out is rounded to the nearest. Fine-tuning "
        "makes up for most of it at 4 bits.",
        "",
    ]
    head = ["sfx PTQ is behind the best of brevitas' four at:", ""]
    return [*head, *told, "", *why] if told else []


def _table(title: str, found: dict[str, Any]) -> list[str]:
    from accuracy import wilson

    theirs = found["brevitas"]
    lines = [
        f"### {title}: float {theirs['float']:,}",
        "",
        f"| bits | {' | '.join(METHODS.values())} | sfx PTQ | sfx QAT |",
        "|---" * (len(METHODS) + 3) + "|",
    ]
    for bits in BITS:
        ours, tuned = found["ptq"][str(bits)], found.get("qat", {}).get(str(bits))
        counts = [best(theirs, m, bits) for m in METHODS] + [ours["right"]]
        cells = [f"**{n:,}**" if n == max(counts) else f"{n:,}" for n in counts]
        low, high = wilson(ours["right"], SAMPLES)
        cells[-1] += f" ({low:.1%} to {high:.1%})"
        last = "-"
        if tuned:
            low, high = wilson(tuned["right"], SAMPLES)
            last = f"{tuned['right']:,} ({low:.1%} to {high:.1%})"
        lines.append(f"| {bits} | {' | '.join(cells)} | {last} |")
    tuned = found.get("qat", {}).get("4")
    if tuned:
        lines += [
            "",
            f"At 4 bits no layer has more than {tuned['levels']} different weights. Torch against "
            f"the Program: {tuned['compared']:,} values, {tuned['mismatches']} differ.",
        ]
    return [*lines, ""]


def main() -> int:
    """Count, and keep it beside what `peers_brevitas.py` counted."""
    parser = argparse.ArgumentParser(description="PTQ and QAT beside brevitas.")
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", default=list(PEERS))
    parser.add_argument("--qat", type=int, nargs="*", default=[])
    options = parser.parse_args()
    for name in options.names:
        made: dict[str, Any]
        if options.qat:
            made = {str(bits): qat(name, options.data, bits) for bits in options.qat}
            print(name, made, flush=True)
        else:
            made = ptq(name, options.data)
        kept = json.loads(STORE.read_text()) if STORE.exists() else {}
        of = kept.setdefault(name, {})
        if options.qat:
            of["qat"] = of.get("qat", {}) | made
        else:
            of["ptq"] = made
        STORE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
