#!/usr/bin/env bash
# Most would guess: a data set of SpikingJelly's has as many frames files as recordings, and a window
# of time without an event becomes an empty frame.
# What happens: with split_by="time" an empty window raises IndexError inside a thread whose result
# nobody asks for. No file is written, nothing is printed: the data set is shorter.
# Seen in: spikingjelly 0.0.0.0.14 (torch 2.3.1, numpy 1.26.4). 2.0.0 raises the IndexError.
# Why it matters: accuracies are over fewer samples than the set has, and sample k of the frames is
# not sample k of the recordings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.3.1 numpy==1.26.4 spikingjelly==0.0.0.0.14 torchvision==0.18.1
cd "$work"
"$work/venv/bin/python" - <<'PY' 2>/dev/null
import os
import sys
from importlib.metadata import version

import numpy as np
from spikingjelly.datasets import NeuromorphicDatasetFolder


class Mine(NeuromorphicDatasetFolder):
    @staticmethod
    def get_H_W():
        return 2, 2


os.makedirs("set/events_np/a")
zero = np.zeros(6, int)
for name, t in (("busy", [0, 1, 2, 3, 4, 5]), ("pause", [0, 1, 2, 98, 99, 100])):
    np.savez(f"set/events_np/a/{name}.npz", t=np.array(t), x=zero, y=zero, p=zero)
data = Mine("set", data_type="frame", frames_number=3, split_by="time")
names = [os.path.basename(path) for path, _ in data.samples]
print(f"spikingjelly {version('spikingjelly')}: recordings 2, samples {len(data)}: {names}")
sys.exit(0 if names == ["busy.npz"] else 1)
PY
