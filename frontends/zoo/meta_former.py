"""What the Spike-driven Transformers v2 and v3 share: their stages, under the public names."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from .meta_former_config import MetaFormerConfig
from .public_model import PublicModel

CONV_EXPANSION = 4
"""Hidden width of a convolution block over its input's (fixed in the public codes)."""
SEPARABLE_EXPANSION = 2
"""The same of a `SeparableConv`."""


class MetaFormer(PublicModel):
    """Convolution blocks at strides 2, 4, 8 (two), then attention blocks at stride 16.

    A network says what its parts are, each built from the config and its channels.
    """

    config: MetaFormerConfig
    downsampling: ClassVar[type[nn.Module]]
    """BN(conv(neuron(x))), or of x itself with `spikes=False`."""
    conv_block: ClassVar[type[nn.Module]]
    attention_block: ClassVar[type[nn.Module]]

    def __init__(self, config: MetaFormerConfig) -> None:
        super().__init__(config)
        a, b, c, d = config.dims
        down, conv, attention = self.downsampling, self.conv_block, self.attention_block
        first = (config.in_channels, a // 2)
        self.downsample1_1 = down(config, first, kernel=7, spikes=False)
        self.ConvBlock1_1 = nn.ModuleList([conv(config, a // 2)])
        self.downsample1_2 = down(config, (a // 2, a))
        self.ConvBlock1_2 = nn.ModuleList([conv(config, a)])
        self.downsample2 = down(config, (a, b))
        self.ConvBlock2_1 = nn.ModuleList([conv(config, b)])
        self.ConvBlock2_2 = nn.ModuleList([conv(config, b)])
        self.downsample3 = down(config, (b, c))
        self.block3 = nn.ModuleList(attention(config, c) for _ in range(config.depths[0]))
        self.downsample4 = down(config, (c, d), stride=1)
        self.block4 = nn.ModuleList(attention(config, d) for _ in range(config.depths[1]))

    def features(self, x: Tensor) -> Tensor:
        """Currents [T, B, C4, H / 16, W / 16] of x [T, B, C, H, W]."""
        self.check_input(x)
        parts = (
            self.downsample1_1,
            *self.ConvBlock1_1,
            self.downsample1_2,
            *self.ConvBlock1_2,
            self.downsample2,
            *self.ConvBlock2_1,
            *self.ConvBlock2_2,
            self.downsample3,
            *self.block3,
            self.downsample4,
            *self.block4,
        )
        for part in parts:
            x = part(x)
        return x
