"""A traced forward() sees the model's own modules, not torch.export's proxies of them.

torch.export (2.3 to 2.13, strict=False) hands out every module as an instance of a subclass made
for the occasion, to know by which path it was reached. Then `type(layer) is nn.Linear` is False in
the trace alone, and the model takes another branch, silently. Here a module that is reached by two
paths has the first one, as in `named_modules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.fx.experimental import proxy_tensor


@contextmanager
def true_modules() -> Iterator[None]:
    """No proxies while the block runs; without effect where torch has another tracer."""
    tracer: Any = getattr(proxy_tensor, "_ModuleStackTracer", None)
    names = ("getattr", "path_of_module")
    before = {name: vars(tracer)[name] for name in names if tracer and name in vars(tracer)}
    if len(before) < len(names):
        yield
        return

    def get(self: Any, attr: str, value: Any, cache: Any) -> Any:
        return value

    def path(self: Any, module: nn.Module) -> str:
        known = getattr(self, "module_id_cache", {}).get(id(module))
        return str(known[0] if known else before["path_of_module"](self, module))

    tracer.getattr, tracer.path_of_module = get, path
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(tracer, name, method)
