"""Keywords that were renamed: the old name still works for one version."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(old: str, new: str) -> Callable[[Function], Function]:
    """A function whose keyword `new` was called `old`: the old one warns, and means the same.

    Raises TypeError if both are given.
    """

    def wrap(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if old in keywords:
                if new in keywords:
                    raise TypeError(f"{function.__name__}() got both {new} and {old}, its old name")
                message = f"{function.__name__}({old}=...) is now {new}"
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                keywords[new] = keywords.pop(old)
            return function(*arguments, **keywords)

        return call  # type: ignore[return-value]  # the same arguments but for the old name

    return wrap
