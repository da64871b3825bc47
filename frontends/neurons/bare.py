"""A model without what training wraps around it: DataParallel, DDP and torch.compile.

A compiled module computes what its own module does, by code that no tracer can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel


def bare(net: nn.Module) -> nn.Module:
    """The user's own module; of one that nothing wraps, itself."""
    while True:
        inner = _inside(net)
        if inner is None:
            return net
        net = inner


@contextmanager
def parts_bare(net: nn.Module) -> Iterator[None]:
    """No part of `net` is wrapped or compiled while this lasts; then all is as it was."""
    wrapped = [
        (parent, name, child)
        for parent in net.modules()
        for name, child in parent._modules.items()
        if child is not None and _inside(parent) is None and _inside(child) is not None
    ]
    own = "_compiled_call_impl"  # of a module that was compiled in place; others have none
    compiled = [(m, m.__dict__.pop(own)) for m in net.modules() if own in m.__dict__]
    for parent, name, child in wrapped:
        parent._modules[name] = bare(child)
    try:
        yield
    finally:
        for parent, name, child in wrapped:
            parent._modules[name] = child
        for module, call in compiled:
            module.__dict__[own] = call


def _inside(net: nn.Module) -> nn.Module | None:
    """What a wrapper holds; None of a module that is none."""
    if isinstance(net, DataParallel | DistributedDataParallel):
        return net._modules["module"]
    if type(net).__name__ == "OptimizedModule":  # torch._dynamo's, without importing it
        return net._modules["_orig_mod"]
    return None
