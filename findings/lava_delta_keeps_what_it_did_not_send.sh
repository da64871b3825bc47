#!/usr/bin/env bash
# Most would guess: Delta with cum_error=False forgets a change that stays below its threshold, so
# many small steps are never sent; the option reads as what turns the remainder on.
# What happens: the remainder is kept either way (cum_error only decides when it is sent). Inputs that
# creep up by 1 are sent together once
# they add up to the threshold, which itself fires: it is >=, where the docstring has >.
# Seen in: lava-nc 0.10.0, fixed_pt model (Python 3.10, numpy 1.26.4).
# Why it matters: an encoder written from the docstring sends other messages than Lava does,
# and every sum behind it differs for good.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q lava-nc==0.10.0 numpy==1.26.4
cd "$work"
cat >run.py <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.sdn.process import Delta

if __name__ == "__main__":
    x = np.array([[0, 1, 2, 3, 4, 5, 6, 7]])
    source, sink = Source(data=x), Sink(shape=(1,), buffer=x.shape[1])
    delta = Delta(shape=(1,), vth=3, cum_error=False)
    source.s_out.connect(delta.a_in)
    delta.s_out.connect(sink.a_in)
    delta.run(RunSteps(x.shape[1]), Loihi2SimCfg(select_tag="fixed_pt"))
    sent = sink.data.get().astype(int)[0].tolist()
    delta.stop()
    print(f"lava-nc {version('lava-nc')}: inputs {x[0].tolist()}, threshold 3: sent {sent}")
    sys.exit(0 if sent == [0, 0, 0, 3, 0, 0, 3, 0] else 1)
PY
"$work/venv/bin/python" run.py 2>/dev/null
