#!/usr/bin/env bash
# Most would guess: brevitas' GPTQ fits a layer that is called once for each time step to all steps.
# What happens: its pass over the data ends at the first call of the layer that is in turn. A
# recurrent or spiking network with a loop over the steps is fitted to its first step; inputs that
# are silent there count as dead, and their weights become 0, without an error or a warning.
# Seen in: brevitas 0.13.4 (torch 2.13.0).
# Why it matters: a benchmark that runs GPTQ on such a net finds it no better than chance, and takes
# that for GPTQ's accuracy. Give it each layer's inputs of all steps as one batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 brevitas==0.13.4
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys, warnings
warnings.simplefilter("ignore")
import brevitas, torch
import brevitas.nn as qnn
from brevitas.graph.gptq import gptq_mode
from torch import nn


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = qnn.QuantLinear(4, 3, bias=False, weight_bit_width=8)

    def forward(self, x):  # [T, B, 4]
        return torch.stack([self.fc(step) for step in x]).sum(0)


def left(x):
    """How many weights are not 0 after GPTQ on x."""
    torch.manual_seed(0)
    net = Steps().eval()
    with torch.no_grad():
        net(x)
        with gptq_mode(net, use_quant_activations=False) as mode:
            for _ in range(mode.num_layers):
                mode.model(x)
                mode.update()
    return int((net.fc.weight != 0).sum())


torch.manual_seed(1)
x = torch.rand(6, 16, 4)
silent = x.clone()
silent[0] = 0  # at the first of the six steps alone
found = left(x), left(silent)
print(f"brevitas {brevitas.__version__}: weights left of 12: {found[0]}; with a silent first step: {found[1]}")
sys.exit(0 if found[0] > 6 and found[1] == 0 else 1)
PY
