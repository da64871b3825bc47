"""What brevitas' post-training quantization makes of the nets of `peers.py`.

    pip install brevitas==0.13.4 snntorch==1.0.0 spikingjelly torch    # in an own environment
    python benchmarks/peers_brevitas.py mnist.npz [NAME ...]

Weights only, as here: spikes have one bit, membranes and biases stay floats. Every layer has the
same bits. Round to nearest and GPTQ, one scale for a tensor or one for each output channel; each
with brevitas' two rules for a scale (the largest weight; the least squared error), of which the
better one *on the test images* is kept, so the figures are brevitas' best. GPTQ sees the same 64
training samples as `sfx`. Figures go to benchmarks/peers.json; weights are read from out/peers.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import brevitas
import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.graph.gptq import gptq_mode
from brevitas.quant import scaled_int
from peer_nets import PEERS, ROOT, calibration, load, right
from torch import nn

STORE = ROOT / "benchmarks" / "peers.json"
BITS = (8, 4, 3, 2)
RULES = {
    ("tensor", "max"): scaled_int.Int8WeightPerTensorFloat,
    ("tensor", "mse"): scaled_int.Int8WeightPerTensorFloatMSE,
    ("channel", "max"): scaled_int.Int8WeightPerChannelFloat,
    ("channel", "mse"): scaled_int.Int8WeightPerChannelFloatMSE,
}


def quantized(net: nn.Module, bits: int, rule: Any) -> nn.Module:
    """A copy whose linear layers and convolutions round their weights."""
    net = copy.deepcopy(net)
    for name, layer in list(net.named_modules()):
        made: nn.Module
        if type(layer) is nn.Conv2d:
            made = qnn.QuantConv2d(
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride,
                layer.padding, bias=layer.bias is not None, weight_quant=rule,
                weight_bit_width=bits,
            )  # fmt: skip
        elif type(layer) is nn.Linear:
            made = qnn.QuantLinear(
                layer.in_features, layer.out_features, bias=layer.bias is not None,
                weight_quant=rule, weight_bit_width=bits,
            )  # fmt: skip
        else:
            continue
        made.load_state_dict(layer.state_dict(), strict=False)
        owner, _, own = name.rpartition(".")
        setattr(net.get_submodule(owner), own, made)
    return net.eval()


def gptq(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """Layer by layer, each on what the ones before it then send.

    A layer at a time, all steps in one batch: in a network with a loop over the steps brevitas'
    own pass would end at a layer's first call, and fit it to the first step alone
    (findings/brevitas_gptq_sees_the_first_step.sh).
    """
    order: list[nn.Module] = []
    kinds = qnn.QuantConv2d | qnn.QuantLinear
    hooks = [
        m.register_forward_pre_hook(lambda m, _: order.append(m) if m not in order else None)
        for m in net.modules()
        if isinstance(m, kinds)
    ]
    with torch.no_grad():
        net(x)
        for hook in hooks:
            hook.remove()
        for layer in order:
            seen: list[torch.Tensor] = []
            hook = layer.register_forward_pre_hook(lambda _, given, s=seen: s.append(given[0]))
            net(x)
            hook.remove()
            with gptq_mode(nn.Sequential(layer), use_quant_activations=False) as mode:
                mode.model(torch.cat(seen))
                mode.update()
    return net


def levels(net: nn.Module, bits: int) -> None:
    """Assert that every layer holds no more levels than its bits have, for each of its scales."""
    for layer in net.modules():
        if isinstance(layer, qnn.QuantConv2d | qnn.QuantLinear):
            held = layer.quant_weight()
            whole = (held.value / held.scale).round()
            assert torch.allclose(held.value, whole * held.scale, atol=1e-6)
            assert len(torch.unique(whole)) <= 1 << bits


def count(name: str, data: Path) -> dict[str, Any]:
    """Right test images by method."""
    net = load(name)
    x = torch.from_numpy(calibration(name, data).astype(np.float32)).transpose(0, 1)
    found: dict[str, Any] = {"float": right(net, name, data)}
    for bits in BITS:
        for (scales, kind), rule in RULES.items():
            for method in ("rtn", "gptq"):
                made = quantized(net, bits, rule)
                with torch.no_grad():
                    made(x)  # which settles the scales
                if method == "gptq":
                    gptq(made, x)
                levels(made, bits)
                n = right(made, name, data)
                print(f"{name} {bits} bits {method} per {scales}, {kind}: {n}", flush=True)
                found[f"{method}-{scales}-{kind}-{bits}"] = n
    return found


def main() -> int:
    """Count, and keep it beside what `peers.py` counted."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    data, names = Path(sys.argv[1]), sys.argv[2:] or list(PEERS)
    for name in names:
        started = time.process_time()
        found = count(name, data)
        kept = json.loads(STORE.read_text()) if STORE.exists() else {}
        facts = {"version": brevitas.__version__, "seconds": round(time.process_time() - started)}
        kept.setdefault(name, {})["brevitas"] = found | facts
        STORE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
