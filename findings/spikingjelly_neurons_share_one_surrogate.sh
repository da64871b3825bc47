#!/usr/bin/env bash
# Most would guess: every SpikingJelly neuron has a surrogate function module of its own.
# What happens: neurons made without one share a single module per class, made when the class is
# defined (a default argument): changing it, or hooking it, in one layer does so in every layer.
# Seen in: spikingjelly 0.0.0.0.14 (torch 2.3.1, numpy 1.26.4).
# Why it matters: `net[1].surrogate_function.alpha = 2` changes the gradients of the whole network
# and of every other network in the process; a hook for one layer's surrogate sees all of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.3.1 numpy==1.26.4 spikingjelly==0.0.0.0.14 torchvision==0.18.1
cd "$work"
"$work/venv/bin/python" - <<'PY' 2>/dev/null
import sys
from importlib.metadata import version
from spikingjelly.activation_based import neuron

a, b = neuron.LIFNode(), neuron.LIFNode(tau=4.0)
c = neuron.IFNode()
a.surrogate_function.alpha = 7.5
print(f"spikingjelly {version('spikingjelly')}: one object for two LIFNodes:",
      a.surrogate_function is b.surrogate_function)
print("alpha of the other LIFNode after setting it on the first:", float(b.surrogate_function.alpha))
print("the same object for an IFNode:", a.surrogate_function is c.surrogate_function)
same = a.surrogate_function is b.surrogate_function and float(b.surrogate_function.alpha) == 7.5
sys.exit(0 if same else 1)
PY
