"""What `torch.compile` leaves as it is."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def eager(function: Function) -> Function:
    """`function` runs as Python in a compiled model too, where a graph ends and another begins.

    `torch.compiler.disable` does the same, but imports the compiler, which takes a second.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        compiler = sys.modules.get("torch._dynamo")
        run = function if compiler is None else compiler.disable(function)
        return run(*arguments, **keywords)

    return cast(Function, call)
