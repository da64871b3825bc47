#!/usr/bin/env bash
# Most would guess: the order in which one process uses numba and imports Lava does not matter.
# What happens: numba, when it starts its threads, asks multiprocessing for the start method, which
# fixes it; lava sets the start method on import, and fails with "context has already been set".
# Seen in: numba 0.68.1 with lava-nc 0.10.0 (numpy 1.26.4, Python 3.10, Linux).
# Why it matters: a notebook that runs a compiled kernel first cannot import Lava afterwards.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
"${PYTHON:-python3.10}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q lava-nc==0.10.0 numba==0.68.1 numpy==1.26.4
cd "$work"
for first in "pass" "import numba; numba.get_num_threads()"; do
    printf '%s, then Lava: ' "$first"
    "$work/venv/bin/python" - "$first" <<'PY' 2>/dev/null || true
import sys
exec(sys.argv[1])
try:
    from lava.proc.dense.process import Dense
    print("imported")
except RuntimeError as error:
    print("RuntimeError:", error)
PY
done | tee out.txt
"$work/venv/bin/pip" list 2>/dev/null | grep -E '^(lava-nc|numba) '
grep -q '^pass, then Lava: imported$' out.txt
grep -q 'numba.*RuntimeError: context has already been set$' out.txt
