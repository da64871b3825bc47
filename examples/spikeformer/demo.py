"""The whole way through, as a newcomer would type it: a trained Spikeformer onto Loihi 2.

    python examples/spikeformer/demo.py [OUT]

Every line that starts with `$` is a command you can run yourself. Results land in OUT (default:
`out/`): the compiled bundle, JSON records, the report page and a spike raster.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from sfx.toolchain.report.units import share, si

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODEL = HERE / "model.pt"
VERIFY_SAMPLES = 3


def main() -> int:
    """Run all steps; the exit status is 0 only if Lava agreed and the accuracy held."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    bundle, test, three = out / "model.sfx", out / "digits.npz", out / "three.npz"

    title("1. Handwritten digits, as an event camera sees them")
    step("python", here("data.py"), test, "--split", "test", "--picture", out / "sample.png")

    title("2. Compile the trained Spikeformer for Loihi 2")
    step("sfx", "compile", here("model.pt"), "--target", "loihi", "-o", bundle, *js(out, "compile"))

    title("3. Run all 360 test samples on the integer reference")
    real = float_accuracy(test)
    print(f"float model (PyTorch): {share(real, 2)}")
    step("sfx", "run", bundle, "--input", test, "--backend", "reference", *js(out, "run"))

    title("4. Prove it: every spike, u and v against Intel's Lava")
    save_first(test, three, VERIFY_SAMPLES)
    equal = step(
        "sfx",
        "verify",
        bundle,
        "--input",
        three,
        "--against",
        "lava",
        "--mode",
        "full",
        "--states",
        *js(out, "verify"),
        may_fail=True,
    )

    title("5. What would it cost on the chip?")
    step(
        "sfx",
        "report",
        bundle,
        "--input",
        test,
        "--verified",
        out / "verify.json",
        "--html",
        out / "report.html",
        *js(out, "report"),
    )
    draw(bundle, three, out)
    return summary(out, real, equal, time.perf_counter() - start)


def title(text: str) -> None:
    """A heading between the steps."""
    print(f"\n== {text}", flush=True)


def here(name: str) -> Path:
    """A file of this example, as the user would type it."""
    path = HERE / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def js(out: Path, name: str) -> tuple[str, Path]:
    """The option that writes a command's result as JSON."""
    return "--json", out / f"{name}.json"


def step(*command: object, may_fail: bool = False) -> bool:
    """Show and run one command of this environment; stop the demo if it fails."""
    words = [str(w) for w in command]
    print(f"$ {' '.join(words)}", flush=True)
    program = {"python": [sys.executable], "sfx": [sys.executable, "-m", "sfx.toolchain.app.cli"]}
    status = subprocess.run([*program[words[0]], *words[1:]]).returncode
    if status and not may_fail:
        sys.exit(f"the demo stops here: '{words[0]} {words[1]}' ended with status {status}")
    return status == 0


def float_accuracy(test: Path) -> float:
    """Accuracy of the float model in PyTorch on the same samples."""
    import torch

    from sfx.frontends.checkpoints.spikeformer import load

    model = load(MODEL).eval()
    data = np.load(test)
    x = torch.from_numpy(data["x"]).float().transpose(0, 1)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in x.split(60, dim=1)])
    return float((logits.argmax(1).numpy() == data["y"]).mean())


def save_first(source: Path, target: Path, count: int) -> None:
    """The first `count` samples of a DATA file as a DATA file."""
    data = np.load(source)
    np.savez_compressed(target, x=data["x"][:count], y=data["y"][:count])


def draw(bundle: Path, samples: Path, out: Path) -> None:
    """The spike raster of every population, samples back to back, and the chip map."""
    from sfx.toolchain.app import api
    from sfx.toolchain.report.pictures import chip_map, raster

    loaded = api.load(bundle)
    x = np.load(samples)["x"]
    record = api.stream(loaded.program, x, "reference")
    raster(loaded.program, record.spikes, out / "raster.png", samples=len(x))
    cores = json.loads((out / "report.json").read_text())["per_core"]
    synops = {(c["chip"], c["core"]): c["synops"] for c in cores}
    target = api.target_of(loaded)
    chip_map(loaded.placed, target, synops, out / "chip.png", label="synops per sample")


def summary(out: Path, real: float, equal: bool, seconds: float) -> int:
    """What a newcomer should take away, from the JSON records just written."""

    def read(name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((out / f"{name}.json").read_text())
        return content

    compiled, ran, verified, cost = map(read, ("compile", "run", "verify", "report"))
    held = abs(ran["accuracy"] - real) <= 0.01
    energy, latency = cost["energy"], cost["latency"]
    title("Summary")
    print(
        f"A Spikeformer with {compiled['neurons']:,} neurons and {compiled['synapses']:,} synapses "
        f"fits on {cost['cores']} cores of {cost['chips']} Loihi 2 chip(s).\n"
        f"Accuracy   {share(real, 2)} in float, {share(ran['accuracy'], 2)} in 8-bit integers "
        f"({ran['samples']} test samples).\n"
        f"Trust      {verified['compared']:,} values compared with Intel's Lava, "
        f"{verified['mismatches']} differ"
        f"{'' if not verified['silent'] else '; silent: ' + ', '.join(verified['silent'])}.\n"
        f"Cost       about {si(energy['dynamic_j'], 'J')} dynamic per sample, "
        f"{si(latency['latency_s'], 's')} latency (estimates; uncertainty in the report).\n"
        f"Look at    {out / 'raster.png'} (spikes of every population), "
        f"{out / 'chip.png'} (the chip), "
        f"{out / 'report.html'}\n"
        f"Took       {seconds:.0f} s"
    )
    if not equal:
        print("Lava and the reference DIFFER: please report this.")
    if not held:
        print("The integers lost more than one point of accuracy.")
    return 0 if equal and held and not verified["silent"] else 1


if __name__ == "__main__":
    sys.exit(main())
