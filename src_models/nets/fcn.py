"""FCN-32s, FCN-16s and FCN-8s.

Long, Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
2015; Shelhamer, Long & Darrell, PAMI 2017. https://arxiv.org/abs/1605.06211

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import CONV, POOL, check_input

VGG_DEPTHS = (2, 2, 3, 3, 3)  # convolutions before each pool of VGG-16
UPSAMPLE = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


def bilinear(ndim: int, stride: int) -> Tensor:
    """The kernel that enlarges `stride` times by linear interpolation.

    Returns
    -------
    Tensor
        (1, 1, 2·stride, …), `ndim` times: the outer product of one ramp up and down.
        It sums to strideⁿᵈⁱᵐ.
    """
    side = 2 * stride
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / stride
    kernel = torch.ones(())
    for _ in range(ndim):
        kernel = kernel[..., None] * ramp
    return kernel[None, None]


class Enlarge(nn.Module):
    """Each channel `stride` times as large, by the bilinear kernel, which is not learnt."""

    kernel: Tensor

    def __init__(self, ndim: int, stride: int) -> None:
        super().__init__()
        self.ndim, self.stride = ndim, stride
        self.register_buffer("kernel", bilinear(ndim, stride), persistent=False)

    def forward(self, x_BKS: Tensor) -> Tensor:
        """x_BKS -> x_BKS; a side of n becomes stride·(n + 1)."""
        k = x_BKS.shape[1]
        weight = self.kernel.expand(k, *self.kernel.shape[1:])
        return UPSAMPLE[self.ndim](x_BKS, weight, stride=self.stride, groups=k)


def window(x_BKS: Tensor, start: int, shape: torch.Size) -> Tensor:
    """At most `shape` voxels of each spatial axis, from `start` on."""
    for axis, side in enumerate(shape, start=2):
        length = min(side, x_BKS.shape[axis] - start)
        x_BKS = x_BKS.narrow(axis, start, length)
    return x_BKS


class FCN(nn.Module):
    """Logits for every voxel.

    Scores of a coarse map are enlarged and summed with those of finer maps. The voxels of
    two maps are matched by the offsets below, which follow from where the centre of each
    kernel lies: a wrong one is a silent shift by half a stride.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    stride : {32, 16, 8}
        Of the finest scored map: FCN-32s, -16s, -8s.
    widths : tuple of int
        Channels of the five levels of VGG-16.
    fc_width : int
        Channels of the two fully connected layers turned convolutions.
    fc_kernel : int
        Side of the first of them, odd, 3 at least; 7 as published. In 3D a 7³ kernel
        would alone have 719 million weights.
    dropout : float
        After each of them.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        stride: Literal[32, 16, 8],
        widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),
        fc_width: int = 4096,
        fc_kernel: int = 7,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.fc_kernel = ndim, in_channels, fc_kernel
        conv, drop = CONV[ndim], nn.Dropout(dropout)
        self.levels = nn.ModuleList()
        above = in_channels
        for width, depth in zip(widths, VGG_DEPTHS, strict=True):
            level = nn.Sequential()
            for _ in range(depth):
                padding = 1 if len(self.levels) or len(level) else self.padding
                level.append(conv(above, width, 3, padding=padding))
                level.append(nn.ReLU(inplace=True))
                above = width
            self.levels.append(level.append(POOL[ndim](2, ceil_mode=True)))
        self.score = nn.Sequential(
            *(conv(above, fc_width, fc_kernel), nn.ReLU(inplace=True), drop),
            *(conv(fc_width, fc_width, 1), nn.ReLU(inplace=True), drop),
            conv(fc_width, classes, 1),
        )
        fused = {32: (), 16: (3,), 8: (3, 2)}[stride]  # pool4, pool3
        self.skip_score = nn.ModuleList(conv(widths[i], classes, 1) for i in fused)
        self.twice = Enlarge(ndim, 2)
        self.enlarge = Enlarge(ndim, stride)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def padding(self) -> int:
        """Of the first convolution; 100 as published.

        Enough for one voxel to survive all pools and the wide kernel, and such that
        `image_offset` is the same for every width of that kernel.
        """
        return 16 * (self.fc_kernel - 1) + 4

    @property
    def skip_offsets(self) -> tuple[int, ...]:
        """Where the doubled scores begin in pool4, then in pool3; 5 and 9 as published."""
        pool4 = self.fc_kernel - 2
        return (pool4, 2 * pool4 - 1)[: len(self.skip_score)]

    @property
    def image_offset(self) -> int:
        """Where the image begins in the enlarged scores: 19, 27 or 31."""
        return 35 - self.enlarge.stride // 2

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        maps = [x_BCS]
        for level in self.levels:
            maps.append(level(maps[-1]))
        y = self.score(maps.pop())
        for score, offset in zip(self.skip_score, self.skip_offsets, strict=True):
            y = self.twice(y)
            skip = window(score(maps.pop()), offset, y.shape[2:])
            y = window(y, 0, skip.shape[2:]) + skip
        return window(self.enlarge(y), self.image_offset, x_BCS.shape[2:])
