"""What the configs of the Spike-driven Transformers v2 and v3 share. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from ...toolchain.ground.errors import Problem
from .public_config import SizedConfig


@dataclass(frozen=True)
class MetaFormerConfig(SizedConfig):
    """A network of four stages: convolution blocks in the first two, attention in the last two.

    dims    channels of the four stages; the last two divisible by `heads`
    depths  blocks of attention in stages 3 and 4

    `mlp_ratio` is that of the attention blocks; the convolution blocks widen by 4 always.
    """

    image_size: int = 64
    dims: tuple[int, ...] = (16, 32, 32, 32)
    depths: tuple[int, ...] = (1, 1)

    @property
    def reduction(self) -> int:
        """Four convolutions of stride 2."""
        return 16

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = super().wrong_values()
        if len(self.dims) != 4:
            found.append(
                self.problem("dims", f"{self.dims!r} does not have one width per stage (4)")
            )
        if len(self.depths) != 2:
            found.append(self.problem("depths", f"{self.depths!r} is not for two stages"))
        found += self.indivisible("dims", self.dims[0], "2 (the first map has half)", 2)
        for dim in self.dims[2:]:
            found += self.indivisible("dims", dim, "heads", self.heads)
        return found
