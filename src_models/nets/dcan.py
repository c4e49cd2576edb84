"""DCAN: regions and their contours from one trunk.

Chen, Qi, Yu & Heng, "DCAN: Deep Contour-Aware Networks for Accurate Gland Segmentation",
CVPR 2016. https://arxiv.org/abs/1604.02677

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import CONV, LINEAR, POOL, check_input, crop_to, to_multiple
from src_models.nets.unet import Norm, norm_layers
from src_models.outputs import Auxiliary, Outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTOURS = 2  # not on a contour, on one


class Scores(nn.Module):
    """One task's scores of several levels, each enlarged to the image."""

    def __init__(self, ndim: int, widths: Sequence[int], hidden: int, out: int) -> None:
        super().__init__()
        self.mode = LINEAR[ndim]
        self.levels = nn.ModuleList(
            nn.Sequential(
                CONV[ndim](width, hidden, 3, padding=1),
                nn.ReLU(inplace=True),
                CONV[ndim](hidden, out, 1),
            )
            for width in widths
        )

    def forward(self, *features: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Features of each level, finest first -> logits (B, out, *shape) of each."""
        return tuple(
            F.interpolate(level(x), shape, mode=self.mode, align_corners=False)
            for level, x in zip(self.levels, features, strict=True)
        )


class DCAN(nn.Module):
    """Logits for every voxel; voxels on a contour are background.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths, depths : tuple of int
        Channels and convolutions of each level, finest first.
    scored : int
        How many of the coarsest levels each task scores; 3 as published.
    hidden : int
        Channels of a score's first convolution.
    norm : {"none", "batch", "instance"}
        Before each ReLU of the trunk.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        scored: int = 3,
        hidden: int = 64,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.scored = ndim, in_channels, scored
        self.stride: int = 2 ** (len(widths) - 1)
        self.pool = POOL[ndim](2)
        self.levels, above = nn.ModuleList(), in_channels
        for width, depth in zip(widths, depths, strict=True):
            level = nn.Sequential()
            for _ in range(depth):
                level.append(CONV[ndim](above, width, 3, padding=1))
                level.extend(norm_layers(norm, ndim, width))
                level.append(nn.ReLU(inplace=True))
                above = width
            self.levels.append(level)
        self.region = Scores(ndim, widths[-scored:], hidden, classes)
        self.contour = Scores(ndim, widths[-scored:], hidden, CONTOURS)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCS: Tensor) -> Tensor | Outputs:
        """x_BCS -> logits_BKS, for any S; in training with each level's as auxiliary."""
        check_input(x_BCS, self.ndim, self.in_channels)
        spatial = x_BCS.shape[2:]
        y = to_multiple(x_BCS, self.stride)
        shape = y.shape[2:]
        features = []
        for at, level in enumerate(self.levels):
            y = level(self.pool(y) if at else y)
            features.append(y)
        seen = features[-self.scored :]
        regions = tuple(crop_to(r, spatial) for r in self.region(*seen, shape=shape))
        contours = tuple(crop_to(c, spatial) for c in self.contour(*seen, shape=shape))
        logits = fused(total(regions), total(contours))
        if not self.training:
            return logits
        return Outputs(logits, tuple(Auxiliary(1.0, level) for level in regions))


def total(levels: Sequence[Tensor]) -> Tensor:
    """What all levels say together."""
    return torch.stack(tuple(levels)).sum(0)


def fused(region_BKS: Tensor, contour_B2S: Tensor) -> Tensor:
    """Logits (B, K, *S): a structure where its region is likely and no contour is.

    With d > 0 what a structure is ahead of background, and c the probability of a contour,
    it stays ahead by d (1 − 2c): only where c is below one half, the paper's thresholds
    both at 0.5. Where background is ahead nothing changes.
    """
    background, structures = region_BKS[:, :1], region_BKS[:, 1:]
    contour = contour_B2S.softmax(1)[:, 1:]
    ahead = structures - background
    kept = torch.where(ahead > 0, ahead * (1 - 2 * contour), ahead)
    return torch.cat([background, background + kept], 1)
