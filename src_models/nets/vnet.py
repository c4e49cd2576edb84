"""V-Net.

Milletari, Navab & Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric
Medical Image Segmentation", 3DV 2016. https://arxiv.org/abs/1606.04797

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src_models.blocks import CONV, UP, InstanceNorm, check_input, crop_to, to_multiple

DOWN_CONVS = (1, 2, 3, 3)  # convolutions in each stage on the way down,
UP_CONVS = (3, 2, 1, 1)  # and on the way up


class Stage(nn.Module):
    """n convolutions, the stage's input added before the last PReLU."""

    def __init__(
        self, ndim: int, channels: int, n: int, kernel: int, norm: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(n):
            layers.append(CONV[ndim](channels, channels, kernel, padding=kernel // 2))
            if norm:
                layers.append(InstanceNorm(channels))
            if i < n - 1:
                layers.append(nn.PReLU(channels))
        self.convs = nn.Sequential(*layers)
        self.act = nn.PReLU(channels)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        y_BCS: Tensor = self.act(self.convs(x_BCS) + x_BCS)
        return y_BCS


class VNet(nn.Module):
    """Logits for every voxel, at the input's size.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    width : int
        Channels of the finest level; doubled four times.
    kernel : int
        Side of the main convolutions; 5 as published.
    norm : bool
        Instance normalisation after them; the published net has none.
    """

    stride = 16

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        width: int = 16,
        kernel: int = 5,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.width = ndim, in_channels, width
        conv, up = CONV[ndim], UP[ndim]
        self.stem = conv(in_channels, width, kernel, padding=kernel // 2)
        self.stem_act = nn.PReLU(width)
        self.down, self.down_stage = nn.ModuleList(), nn.ModuleList()
        for level, n in enumerate(DOWN_CONVS):
            c = width * 2**level
            self.down.append(
                nn.Sequential(conv(c, 2 * c, 2, stride=2), nn.PReLU(2 * c))
            )
            self.down_stage.append(Stage(ndim, 2 * c, n, kernel, norm))
        self.up, self.up_stage = nn.ModuleList(), nn.ModuleList()
        below = width * 16
        for level, n in zip((3, 2, 1, 0), UP_CONVS, strict=True):
            c = width * 2**level
            self.up.append(nn.Sequential(up(below, c, 2, stride=2), nn.PReLU(c)))
            self.up_stage.append(Stage(ndim, 2 * c, n, kernel, norm))
            below = 2 * c
        self.head = nn.Sequential(
            conv(below, classes, kernel, padding=kernel // 2),
            nn.PReLU(classes),
            conv(classes, classes, 1),
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_multiple(x_BCS, self.stride)
        copies = -(-self.width // self.in_channels)
        tiled = torch.cat([x] * copies, dim=1)[:, : self.width]
        skips = [self.stem_act(self.stem(x) + tiled)]
        for down, stage in zip(self.down, self.down_stage, strict=True):
            skips.append(stage(down(skips[-1])))
        y = skips.pop()
        for up, stage in zip(self.up, self.up_stage, strict=True):
            y = stage(torch.cat([up(y), skips.pop()], dim=1))
        return crop_to(self.head(y), x_BCS.shape[2:])
