#!/usr/bin/env bash
# Most would guess: `type(layer) is nn.Linear` in forward() says the same while torch.export traces.
# What happens: with strict=False the layers are wrapped in a class of the tracer's for the trace, so
# the test is False there and the other branch is exported, without a warning. isinstance() holds.
# Seen in: torch 2.3.1 (numpy 1.26.4).
# Why it matters: code of spiking networks dispatches on exact types (neuron or layer); the exported
# program then computes another network than the eager model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.3.1 numpy==1.26.4
cd "$work"
"$work/venv/bin/python" - <<'PY' 2>/dev/null
import sys, torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.fc.weight)

    def forward(self, x):
        return 2 * self.fc(x) if type(self.fc) is nn.Linear else self.fc(x)


net, x = Net().eval(), torch.ones(1, 1)
eager = float(net(x))
exported = float(torch.export.export(net, (x,), strict=False).module()(x))
print(f"torch {torch.__version__}: eager {eager}, exported {exported}")
sys.exit(0 if (eager, exported) == (2.0, 1.0) else 1)
PY
