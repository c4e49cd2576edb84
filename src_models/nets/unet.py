"""U-Net.

Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015. https://arxiv.org/abs/1505.04597
3D: Çiçek et al., "3D U-Net", MICCAI 2016. https://arxiv.org/abs/1606.06650

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import (
    BATCH_NORM,
    CONV,
    POOL,
    UP,
    InstanceNorm,
    check_input,
    crop_to,
    mirror,
    to_multiple,
)

Norm = Literal["none", "batch", "instance"]


def norm_layers(norm: Norm, ndim: int, channels: int) -> list[nn.Module]:
    """No layer, or one. The 3D paper's Caffe batch norm has no scale and shift."""
    if norm == "batch":
        return [BATCH_NORM[ndim](channels, affine=False)]
    if norm == "instance":
        return [InstanceNorm(channels)]
    return []


class UNet(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : pairs of int
        Channels after the first and the second convolution of each level, finest first.
    valid : bool
        Convolutions without padding, as published: 572×572 in, 388×388 out, skips
        cropped round their centre. `forward` then mirrors the image's margin so that
        input and output agree (the paper's overlap-tile).
    norm : {"none", "batch", "instance"}
        Before each ReLU.
    halve_up : bool
        Whether the up-convolution halves the channels (2015) or keeps them (2016, which
        also leaves out its bias).
    dropout : float
        At the end of the contracting path.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[tuple[int, int], ...],
        valid: bool = False,
        norm: Norm = "instance",
        halve_up: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.valid = ndim, in_channels, valid
        self.stride: int = 2 ** (len(widths) - 1)

        def double(c_in: int, c_mid: int, c_out: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for a, b in ((c_in, c_mid), (c_mid, c_out)):
                layers += [
                    CONV[ndim](a, b, 3, padding=0 if valid else 1),
                    *norm_layers(norm, ndim, b),
                    nn.ReLU(inplace=True),
                ]
            return nn.Sequential(*layers)

        ends = [out for _, out in widths]
        self.pool = POOL[ndim](2)
        self.stem = double(in_channels, *widths[0])
        self.down = nn.ModuleList(
            double(above, *pair)
            for above, pair in zip(ends[:-1], widths[1:], strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for below, level in pairwise(reversed(ends)):
            risen = below // 2 if halve_up else below
            self.up.append(UP[ndim](below, risen, 2, stride=2, bias=halve_up))
            self.join.append(double(risen + level, level, level))
        self.head = CONV[ndim](ends[0], classes, 1)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        spatial = x_BCS.shape[2:]
        if not self.valid:
            return crop_to(self.tile(to_multiple(x_BCS, self.stride)), spatial)
        lost = self.margin
        around = [
            (lost, lost + -(side - self.bottom) % self.stride) for side in spatial
        ]
        return crop_to(self.tile(mirror(x_BCS, around)), spatial)

    @property
    def margin(self) -> int:
        """Voxels that unpadded convolutions take from each side of a tile."""
        return 6 * self.stride - 4

    @property
    def bottom(self) -> int:
        """A tile's output side is this plus a multiple of the stride (388 = 4 + 24·16)."""
        return 4 % self.stride

    def tile(self, x_BCS: Tensor) -> Tensor:
        """The net itself: x_BCS -> logits_BKS, smaller by the margins if `valid`."""
        skips = [self.stem(x_BCS)]
        for down in self.down:
            skips.append(down(self.pool(skips[-1])))
        y = self.dropout(skips.pop())
        for up, join in zip(self.up, self.join, strict=True):
            y = up(y)
            y = join(torch.cat([crop_to(skips.pop(), y.shape[2:], centre=True), y], 1))
        logits_BKS: Tensor = self.head(y)
        return logits_BKS
