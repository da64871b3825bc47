"""Alter the integer rules one at a time and show that the tests catch each.

    python scripts/mutation_check.py [--only WORD] [--json FILE]

Each mutation changes one expression of `toolchain/ground/arith.py` or `backends/reference` in a
copy of the project and runs the tests of the rules there. One that no test notices is a hole in
the suite: the exit status is 1. The unchanged copy must pass first, or nothing would be shown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("toolchain", "backends", "frontends", "src", "tests", "pyproject.toml")
SUITE = (
    "tests/conformance/test_stored.py",
    "tests/unit/arith",
    "tests/unit/reference",
    "tests/property/test_pipeline.py",
    "tests/property/test_connections.py",
)
"""Needs no Lava: its answers are stored (`tests/conformance/cases`)."""

ARITH, REFERENCE = "toolchain/ground/arith.py", "backends/reference"
WIDTHS = "toolchain/ground/arithmetic.py"


@dataclass(frozen=True)
class Mutation:
    """`old` occurs exactly once in `file` and becomes `new`."""

    what: str
    file: str
    old: str
    new: str


MUTATIONS = (
    # rounding
    Mutation("decay rounds down, not toward zero", ARITH,
             "shifted: IntArray = np.sign(x) * (np.abs(x) >> bits)",
             "shifted: IntArray = x >> bits"),
    Mutation("negative exponents round toward zero, not down", f"{REFERENCE}/exponent.py",
             "else total >> -exponent",
             "else (abs(total) >> -exponent) * ((total > 0) * 2 - 1)"),
    Mutation("a product shifts toward zero", f"{REFERENCE}/neurons/product.py",
             "v = wrap32(a_in1 * a_in2) >> n.exp",
             "v = np.sign(a_in1 * a_in2) * (np.abs(wrap32(a_in1 * a_in2)) >> n.exp)"),
    Mutation("a product shifts before it wraps", f"{REFERENCE}/neurons/product.py",
             "v = wrap32(a_in1 * a_in2) >> n.exp", "v = wrap32((a_in1 * a_in2) >> n.exp)"),
    Mutation("mixed weights keep their lowest bit", WIDTHS, ">> (k + 1)) << (k + 1)", ">> k) << k"),
    # strictness
    Mutation("LIF fires at its threshold", f"{REFERENCE}/neurons/lif.py",
             "s = v > (n.vth << INPUT_SHIFT)", "s = v >= (n.vth << INPUT_SHIFT)"),
    Mutation("Graded passes values at its threshold", f"{REFERENCE}/neurons/graded.py",
             "np.abs(a_in) > n.vth", "np.abs(a_in) >= n.vth"),
    Mutation("GradedReLU passes values at its threshold", f"{REFERENCE}/neurons/graded_relu.py",
             "a_in > n.vth", "a_in >= n.vth"),
    Mutation("Product passes values at its threshold", f"{REFERENCE}/neurons/product.py",
             "np.abs(v) > n.vth", "np.abs(v) >= n.vth"),
    Mutation("the threshold is not shifted", f"{REFERENCE}/neurons/lif.py",
             "s = v > (n.vth << INPUT_SHIFT)", "s = v > n.vth"),
    # order
    Mutation("input comes before the decay of u", f"{REFERENCE}/neurons/lif.py",
             "widths.decayed(state.u, widths.decay_unity - (n.du + 1)) + x)",
             "widths.decayed(state.u + x, widths.decay_unity - (n.du + 1)))"),
    Mutation("v uses the u of the step before", f"{REFERENCE}/neurons/lif.py",
             "saturate_membrane(kept + u + bias(n))",
             "saturate_membrane(kept + state.u + bias(n))"),
    Mutation("v decays after its input", f"{REFERENCE}/neurons/lif.py",
             "v = widths.saturate_membrane(kept + u + bias(n))",
             "v = widths.decayed(state.v + u + bias(n), widths.decay_unity - n.dv)"),
    Mutation("du has no built-in 1", f"{REFERENCE}/neurons/lif.py",
             "widths.decay_unity - (n.du + 1)", "widths.decay_unity - n.du"),
    Mutation("dv has a built-in 1", f"{REFERENCE}/neurons/lif.py",
             "widths.decay_unity - n.dv)", "widths.decay_unity - (n.dv + 1))"),
    Mutation("the bias is shifted like the input", f"{REFERENCE}/neurons/lif.py",
             "return scale_exponent(n.bias_mant, n.bias_exp)",
             "return scale_exponent(n.bias_mant, n.bias_exp) << INPUT_SHIFT"),
    Mutation("the exponent shifts each weight, not the sum", f"{REFERENCE}/connections/dense.py",
             "return shift(wrap32(s @ weight.T), exponent)",
             "return wrap32(s @ shift(weight, exponent).T)"),
    # reset
    Mutation("no reset after a spike", f"{REFERENCE}/neurons/lif.py",
             "np.where(s, 0, v)", "np.where(s, v, v)"),
    Mutation("reset by subtraction", f"{REFERENCE}/neurons/lif.py",
             "np.where(s, 0, v)", "np.where(s, v - (n.vth << INPUT_SHIFT), v)"),
    Mutation("a sample's reset comes one step late", f"{REFERENCE}/pipeline.py",
             "(h - p.phase) % timesteps == 0", "(h - p.phase - 1) % timesteps == 0"),
    Mutation("a sample begins without a reset", f"{REFERENCE}/pipeline.py",
             "if p.stateful and (h - p.phase)", "if False and (h - p.phase)"),
    # wrap and saturation
    Mutation("v does not saturate", WIDTHS,
             "return np.clip(v, -(self.state_limit - 1), self.state_limit - 1)", "return v"),
    Mutation("v saturates at -2^23", WIDTHS,
             "np.clip(v, -(self.state_limit - 1), self.state_limit - 1)",
             "np.clip(v, -self.state_limit, self.state_limit - 1)"),
    Mutation("u does not wrap", f"{REFERENCE}/neurons/lif.py",
             "u = widths.wrap_current(", "u = np.asarray("),
    Mutation("u wraps at 2^23 as well", WIDTHS,
             "np.where(u > limit, u - turn", "np.where(u >= limit, u - turn"),
    Mutation("the input does not wrap at 32 bits", f"{REFERENCE}/neurons/lif.py",
             "x = wrap32(a_in << INPUT_SHIFT)", "x = a_in << INPUT_SHIFT"),
    Mutation("a convolution does not wrap at 24 bits", f"{REFERENCE}/connections/conv2d.py",
             "else wrap(total, widths.sum_bits)", "else total"),
    Mutation("excitatory weights are not clipped", WIDTHS,
             "np.clip(sign * weights, 0, top)", "np.maximum(sign * weights, 0)"),
    # delay and payload
    Mutation("spikes cross one step too soon", f"{REFERENCE}/pipeline.py",
             "past[(h - j.delay) % len(past)]", "past[(h - j.delay + 1) % len(past)]"),
    Mutation("the clock ticks one step late", f"{REFERENCE}/neurons/clock.py",
             "% timesteps == timesteps - 1", "% timesteps == 0"),
    Mutation("spikes without payload carry their value", f"{REFERENCE}/synapses.py",
             "if not pre.graded:", "if False:"),
    Mutation("a convolution flips its kernel", f"{REFERENCE}/connections/conv2d.py",
             "kernel[:, :, a, b]", "kernel[:, :, kh - 1 - a, b]"),
)  # fmt: skip


def copy(into: Path) -> None:
    """The parts of the project that the suite needs; links stay links."""
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(ROOT / name, into / name)


def suite(folder: Path) -> tuple[bool, str]:
    """Whether the suite passes in `folder`, and the first test that does not."""
    # A cache would hold the unchanged module: two edits can fall into one second.
    env = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *SUITE]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the suite did not run:\n{done.stdout}\n{done.stderr}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    first = failed[0].split(" - ")[0].removeprefix("FAILED ") if failed else ""
    return done.returncode == 0, first


def apply(mutation: Mutation, folder: Path) -> str:
    """Change the file; returns what it held."""
    path = folder / mutation.file
    text = path.read_text()
    count = text.count(mutation.old)
    if count != 1:
        raise SystemExit(f"{mutation.file}: {mutation.old!r} occurs {count} times, not once")
    path.write_text(text.replace(mutation.old, mutation.new))
    return text


def main() -> None:
    """Print a line per mutation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutations whose description holds this word")
    parser.add_argument("--json", type=Path, help="write the outcome")
    options = parser.parse_args()
    chosen = [m for m in MUTATIONS if options.only in m.what]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        passed, first = suite(folder)
        if not passed:
            raise SystemExit(f"the unchanged project fails: {first}")
        for m in chosen:
            start, text = time.perf_counter(), apply(m, folder)
            passed, first = suite(folder)
            (folder / m.file).write_text(text)
            rows.append({"mutation": m.what, "file": m.file, "caught": not passed, "by": first})
            seconds = time.perf_counter() - start
            word = "NOT CAUGHT" if passed else "caught"
            print(f"{word:<10}  {m.what:<52} {seconds:4.0f} s  {first}", flush=True)
    missed = sum(not r["caught"] for r in rows)
    print(f"{len(rows) - missed} of {len(rows)} mutations caught")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
