#!/usr/bin/env bash
# Most would guess: NeuroBench's effective ACs and MACs of a sample are a property of net and sample,
# so they do not depend on the batch size of the loader.
# What happens: whether a layer's operations are accumulates or multiply-accumulates is decided once for
# each call of the layer, for the whole batch: one sample with a count of 2 turns the operations of every
# other sample in its batch into MACs. The same data give other figures at batch sizes 1 and 2.
# Seen in: neurobench 2.3.0 (Python 3.11, CPU torch 2.6.0, snntorch 0.9.4).
# Why it matters: ACs and MACs go into 0.9 and 4.6 pJ, so the published energy of one and the same net
# changes with a loader's option. Compare at batch size 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q neurobench==2.3.0 snntorch==0.9.4 torch==2.6.0
cd "$work"
cat >run.py <<'PY'
import sys
from importlib.metadata import version

import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x = torch.zeros(2, 1, 4)  # samples, steps, features
x[0, 0, :2] = 1.0  # two spikes
x[1, 0, 0] = 2.0  # one count of 2


def operations(batch):
    net = nn.Sequential(nn.Linear(4, 3, bias=False), snn.Leaky(beta=0.9, init_hidden=True, output=True))
    loader = DataLoader(TensorDataset(x, torch.zeros(2)), batch_size=batch)
    found = Benchmark(SNNTorchModel(net), loader, [], [], [[], [SynapticOperations]]).run(quiet=True)
    return tuple(found["SynapticOperations"][k] for k in ("Effective_ACs", "Effective_MACs"))


one, two = operations(1), operations(2)
print(f"neurobench {version('neurobench')}: (ACs, MACs) a sample at batch 1: {one}, at batch 2: {two}")
sys.exit(0 if one == (3.0, 1.5) and two == (0.0, 4.5) else 1)
PY
"$work/venv/bin/python" run.py 2>/dev/null
