"""Integer arithmetic in torch, exact on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from ....toolchain.ground.arith import INPUT_SHIFT
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ground.errors import BackendError


def wrap(x: Tensor, bits: int) -> Tensor:
    """Two's complement wrap of int64 values."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def decayed(x: Tensor, factor: int, bits: int) -> Tensor:
    """x * factor >> bits, toward zero."""
    return x.sign() * ((x.abs() * factor) >> bits)


def leaky(
    decays: tuple[int, int],
    a: Tensor,
    state: tuple[Tensor, Tensor],
    bias: Tensor,
    widths: Arithmetic,
) -> tuple[Tensor, Tensor]:
    """u and v of a step before anything is reset (`ir.neurons.leaky`); decays: du and dv."""
    limit, turn, bits = widths.state_limit, 2 * widths.state_limit, widths.decay_bits
    u, v = state
    u = decayed(u, widths.full_decay - decays[0], bits) + wrap(a << INPUT_SHIFT, 32)
    u = torch.where(u > limit, u - turn, torch.where(u <= -limit, u + turn, u))
    v = decayed(v, widths.decay_unity - decays[1], bits) + u + bias
    return u, v.clamp(-(limit - 1), limit - 1)


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in full precision. Raises BackendError (SFX-E545) if the process allows TF32."""
    if a.is_cuda and torch.backends.cuda.matmul.allow_tf32:
        raise BackendError(
            "SFX-E545",
            "TF32 is on in this process, so products are not exact",
            hint="torch.backends.cuda.matmul.allow_tf32 = False",
        )
    return a @ b
