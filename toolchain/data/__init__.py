"""DATA files: `.npz` with `x` [K, T, *input shape] (whole numbers) and, if known, `y` [K]."""

from sfx.toolchain.data.read import Data, at_every_step, check_input, read

__all__ = ["Data", "at_every_step", "check_input", "read"]
