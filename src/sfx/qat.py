"""Quantization-aware training whose forward pass is the integer Program.

    model = sfx.qat.prepare(net, "loihi", calibrate=x_train[:64])
    ...                                   # any torch loop: model(x) -> logits, loss.backward()
    assert sfx.qat.verify(model, x).equal # every spike of every population, torch and reference
    bundle = sfx.compile(model)           # the same integers; nothing is rounded again
    sfx.qat.save(model, "tuned.safetensors")   # `sfx compile tuned.safetensors`, or qat.load

`import sfx` alone does not import torch; `sfx.qat` does.
"""

from sfx.toolchain.app.api.tuning import prepare, with_heads
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.qat.heads import Head, Supervised
from sfx.toolchain.qat.model import QatModel
from sfx.toolchain.qat.prepare import from_program
from sfx.toolchain.qat.store import load, save
from sfx.toolchain.qat.verify import Equality, verify

__all__ = [
    "Equality",
    "Head",
    "Options",
    "QatModel",
    "Supervised",
    "from_program",
    "load",
    "prepare",
    "save",
    "verify",
    "with_heads",
]
