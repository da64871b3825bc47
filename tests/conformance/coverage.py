"""What a set of conformance cases exercises: counts that tests want above zero.

Computed from inputs and expected values with Python's own integers, so that it holds no formula
of the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from tests.conformance.cases import Case

TOP = 1 << 23


def coverage(cases: Iterable[Case]) -> Counter[str]:
    """Number of cases, or of steps, in which each interesting thing happens."""
    found: Counter[str] = Counter()
    for case in cases:
        found["cases"] += 1
        found["fires"] += bool(case.expected["s"].any())
        found["is silent"] += not case.expected["s"].all()
        if case.kind in ("LIF", "LIFReset"):
            found.update(_lif(case))
        elif case.kind in ("GradedVec", "GradedReluVec"):
            found.update(_graded(case))
        elif case.kind == "ProdNeuron":
            found.update(_product(case))
        else:
            found.update(_connection(case))
    return found


def _lif(case: Case) -> Counter[str]:
    c, found = case.params, Counter[str]()
    found["negative bias exponent"] += c["bias_exp"] < 0 and c["bias_mant"] != 0
    found["positive bias exponent"] += c["bias_exp"] > 0 and c["bias_mant"] != 0
    found["no decay of u"] += c["du"] == -1
    found["full decay of u"] += c["du"] == 4095
    found["no decay of v"] += c["dv"] == 0
    found["dv 4095"] += c["dv"] == 4095
    found["full decay of v"] += c["dv"] == 4096
    bias = (
        c["bias_mant"] << c["bias_exp"] if c["bias_exp"] >= 0 else c["bias_mant"] >> -c["bias_exp"]
    )
    u_all = case.expected["u"].ravel().tolist()
    v_all = case.expected["v"].ravel().tolist()
    s_all = case.expected["s"].ravel().tolist()
    a_all = case.inputs["a_in"].ravel().tolist()
    for k, (u, v, s, a) in enumerate(zip(u_all, v_all, s_all, a_all, strict=True)):
        found["u outside 24 bits"] += abs(u) > TOP
        found["u exactly 2^23"] += u == TOP
        found["v saturated high"] += v == TOP - 1
        found["v saturated low"] += v == 1 - TOP
        found["shift of a_in wraps"] += not -(1 << 25) <= a < 1 << 25
        found["spikes"] += s
        if k and "interval" not in c and -(1 << 25) <= a < 1 << 25:
            kept = u_all[k - 1] * (4095 - c["du"])
            found["u wraps"] += u != (abs(kept) >> 12) * (1 if kept > 0 else -1) + a * 64
        if c["dv"] == 4096 and u + bias == c["vth"] * 64:
            found["threshold met exactly"] += 1
            found["and it fired"] += s
        if k and "interval" in c and (k + 1) % c["interval"] == c["offset"] % c["interval"]:
            found["reset of a state"] += u_all[k - 1] != 0 or v_all[k - 1] != 0
    return found


def _graded(case: Case) -> Counter[str]:
    a, vth = case.inputs["a_in"], case.params["vth"]
    return Counter(
        {
            "threshold met exactly": int((np.abs(a) == vth).sum()) if vth else 0,
            "beyond 24 bits": int((np.abs(case.expected["s"]) > TOP).sum()),
            "passes": int((case.expected["s"] != 0).sum()),
            "vth 0 passes 1": int(np.any(case.expected["s"] == 1)) if vth == 0 else 0,
        }
    )


def _product(case: Case) -> Counter[str]:
    c, found = case.params, Counter[str]()
    pairs = zip(
        case.inputs["a_in1"].ravel().tolist(), case.inputs["a_in2"].ravel().tolist(), strict=True
    )
    for a, b in pairs:
        wraps = not -(1 << 31) <= a * b < 1 << 31
        found["product wraps"] += wraps
        found["threshold met exactly"] += not wraps and abs(a * b >> c["exp"]) == c["vth"] != 0
        found["shift rounds down"] += not wraps and a * b < 0 and a * b % (1 << c["exp"]) != 0
    found["fires beyond 24 bits"] += int((np.abs(case.expected["s"]) > TOP).sum())
    return found


def _connection(case: Case) -> Counter[str]:
    c = case.params
    weight = np.array(c["weight"], dtype=np.int64)
    found = Counter[str]()
    mixed = weight.min() < 0 < weight.max()
    found["mixed signs"] += mixed
    found["mixed signs, odd"] += mixed and bool((weight % 2).any())
    found["inhibitory"] += weight.max() <= 0 and weight.min() < 0
    found["excitatory"] += weight.min() >= 0 and weight.max() > 0
    found["clipped"] += bool((np.abs(weight) > 256).any())
    found["negative exponent"] += c["exp"] < 0
    found["positive exponent"] += c["exp"] > 0
    found["graded"] += bool(c["graded"])
    found["binary of payloads"] += not c["graded"] and bool((np.abs(case.inputs["s_in"]) > 1).any())
    found["delay 1"] += c.get("delay", 1) == 1
    found["delay 64"] += c.get("delay", 1) == 64
    found["late, negative exponent"] += c.get("delay", 1) > 1 and c["exp"] < 0
    flat = np.abs(weight).reshape(len(weight), -1).sum(axis=1).max()
    loud = int(flat) * int(np.abs(case.inputs["s_in"]).max())
    limit = 23 if case.kind == "Conv" else 31
    found["sum may wrap"] += bool(c["graded"]) and (loud << max(c["exp"], 0)) >> limit > 0
    for name in ("stride", "dilation"):
        found[name] += max(c.get(name, [1])) > 1
    found["padding"] += max(c.get("padding", [0])) > 0
    found["groups"] += c.get("groups", 1) > 1
    return found
