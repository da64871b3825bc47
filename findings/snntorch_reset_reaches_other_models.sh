#!/usr/bin/env bash
# Most would guess: snntorch.utils.reset(net) clears the hidden states of the neurons of `net`.
# What happens: it clears those of every snnTorch neuron of that class in the process. Each class
# keeps a list of all its instances, and reset() calls a class method once it sees one in `net`.
# Seen in: snntorch 1.0.0 (torch 2.3.1, numpy 1.26.4).
# Why it matters: who compares a model with a copy of it, or runs two models in turn, resets the one
# in the middle of its sample by resetting the other one; spikes differ without an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.3.1 numpy==1.26.4 snntorch==1.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys, warnings
warnings.simplefilter("ignore")
import snntorch as snn, torch
from importlib.metadata import version
from snntorch import utils
from torch import nn

mine = nn.Sequential(snn.Leaky(beta=0.5, threshold=10.0, init_hidden=True))
other = nn.Sequential(snn.Leaky(beta=0.5, threshold=10.0, init_hidden=True))
mine(torch.ones(1, 1))
before = float(mine[0].mem.sum())
utils.reset(other)
after = float(mine[0].mem.sum())
print(f"snntorch {version('snntorch')}: membrane of `mine` before utils.reset(other): {before}")
print(f"                 after: {after}")
sys.exit(0 if (before, after) == (1.0, 0.0) else 1)
PY
