"""Attention to Scale.

Chen, Yang, Wang, Xu & Yuille, "Attention to Scale: Scale-aware Semantic Image
Segmentation", CVPR 2016. https://arxiv.org/abs/1511.03339
Its net for one scale, DeepLab-LargeFOV: Chen et al., ICLR 2015.
https://arxiv.org/abs/1412.7062

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes, N scales.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import CONV, POOL, check_input, crop_to, rise
from src_models.nets.atrous import exchange
from src_models.nets.fcn import VGG_DEPTHS
from src_models.outputs import Auxiliary, Outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

AVERAGE = {2: F.avg_pool2d, 3: F.avg_pool3d}
GROUPS = 8
Norm = Literal["none", "group"]


class Average(nn.Module):
    """Over 3 voxels of each axis; zeros of the margin count, as in Caffe.

    The margin is laid by hand: PyTorch's own refuses a side of 2.
    """

    def __init__(self, ndim: int) -> None:
        super().__init__()
        self.ndim = ndim

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        return AVERAGE[self.ndim](F.pad(x_BCS, (1, 1) * self.ndim), 3, stride=1)


class LargeFOV(nn.Module):
    """DeepLab-LargeFOV: VGG-16 whose last pools keep the grid, dilated after them.

    Each pool is 3 wide and centred, so that features lie on every 8th (`stride`-th)
    voxel, the first on the first. The last is followed by an average over 3.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, int, int, int, int],
        fc_width: int,
        stride: int,
        rate: int,
        norm: Norm,
        dropout: float,
    ) -> None:
        super().__init__()

        def conv(c_in: int, c_out: int, kernel: int, rate: int) -> list[nn.Module]:
            pad = kernel // 2 * rate
            layer = CONV[ndim](c_in, c_out, kernel, padding=pad, dilation=rate)
            normed = [nn.GroupNorm(GROUPS, c_out)] if norm == "group" else []
            return [layer, *normed, nn.ReLU(inplace=True)]

        self.levels = nn.Sequential()
        above, plan = in_channels, exchange((2,) * len(widths), 1, stride)
        for width, depth, (step, here, _) in zip(widths, VGG_DEPTHS, plan, strict=True):
            level: list[nn.Module] = []
            for _ in range(depth):
                level += conv(above, width, 3, here)
                above = width
            level.append(POOL[ndim](3, stride=step, padding=1))
            self.levels.append(nn.Sequential(*level))
        self.levels.append(Average(ndim))
        self.fc6 = nn.Sequential(*conv(above, fc_width, 3, rate), nn.Dropout(dropout))
        self.fc7 = nn.Sequential(*conv(fc_width, fc_width, 1, 1), nn.Dropout(dropout))
        self.score = CONV[ndim](fc_width, classes, 1)

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> features (fc7), scores_BKS; both on every `stride`-th voxel."""
        features = self.fc7(self.fc6(self.levels(x_BCS)))
        return features, self.score(features)


class ScaleAttention(nn.Module):
    """From the features of all scales, how much each scale is worth at each voxel."""

    def __init__(
        self, ndim: int, scales: int, channels: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            CONV[ndim](scales * channels, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            CONV[ndim](width, scales, 1),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """N features on one grid -> weights_BNS, of sum 1 at each voxel."""
        logits_BNS: Tensor = self.layers(torch.cat(list(features), 1))
        return logits_BNS.softmax(1)


def merge(weights_BNS: Tensor, scores: Sequence[Tensor]) -> Tensor:
    """Σ over the scales of weight · scores_BKS; a weight is the same for all classes."""
    return torch.stack(
        [weights_BNS[:, at, None] * seen for at, seen in enumerate(scores)]
    ).sum(0)


class AttentionToScale(nn.Module):
    """Logits for every voxel: the scores of several scales, weighed voxel by voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    scales : tuple of float
        Of the image that the one net reads, the finest first and 1; eighths or coarser.
    axes : int
        How many of the last axes are rescaled. 2 in 3D leaves the slices as they are:
        for volumes with thick ones.
    widths : tuple of int
        Channels of the five levels of VGG-16.
    stride : {8, 4}
        Of the grid that is scored; 8 as published.
    fc_width, rate : int
        Channels of fc6 and fc7; dilation of fc6, in voxels of the coarse grid.
    attention_width : int
        Channels within the attention.
    norm : {"none", "group"}
        Before each ReLU of the net of one scale; "none" as published, where it begins
        from the weights of a classifier of photographs.
    dropout : float
        After fc6, after fc7, and within the attention.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        scales: tuple[float, ...] = (1, 0.5),
        axes: int = 2,
        widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),
        fc_width: int = 1024,
        stride: int = 8,
        rate: int = 12,
        attention_width: int = 512,
        norm: Norm = "none",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.stride = ndim, in_channels, stride
        still = (Fraction(1),) * (ndim - axes)
        self.scales = [(*still, *[Fraction(scale)] * axes) for scale in scales]
        # On this lattice the voxels of a smaller image are voxels of the image.
        self.steps = [
            stride * lcm(*(scale.denominator for scale in along))
            for along in zip(*self.scales, strict=True)
        ]
        self.net = LargeFOV(
            ndim=ndim,
            in_channels=in_channels,
            classes=classes,
            widths=widths,
            fc_width=fc_width,
            stride=stride,
            rate=rate,
            norm=norm,
            dropout=dropout,
        )
        self.attention = ScaleAttention(
            ndim, len(scales), fc_width, attention_width, dropout
        )
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCS: Tensor) -> Tensor | Outputs:
        """x_BCS -> logits_BKS, for any S; in training with the scores of each scale."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = self.to_lattice(x_BCS)
        shape, spatial = x.shape[2:], x_BCS.shape[2:]
        seen = [self.net(rise(x, sides)) for sides in self.shapes(shape)]
        grid = seen[0][1].shape[2:]
        weights = self.attention([rise(features, grid) for features, _ in seen])
        merged = merge(weights, [rise(scores, grid) for _, scores in seen])
        logits = crop_to(rise(merged, shape), spatial)
        if not self.training:
            return logits
        return Outputs(
            logits,
            tuple(
                Auxiliary(
                    1.0, self.at_labels(crop_to(rise(scores, shape), spatial), scale)
                )
                for (_, scores), scale in zip(seen, self.scales, strict=True)
            ),
        )

    def to_lattice(self, x_BCS: Tensor) -> Tensor:
        """Repeat the last voxel until each side is a multiple of its step and one more.

        321 is such a side, for scales that are quarters too: the paper's.
        """
        sides = zip(reversed(x_BCS.shape[2:]), reversed(self.steps), strict=True)
        missing = [max(step + 1 - side, (1 - side) % step) for side, step in sides]
        pad = [n for after in missing for n in (0, after)]
        return F.pad(x_BCS, pad, mode="replicate") if any(pad) else x_BCS

    def shapes(self, shape: Sequence[int]) -> list[list[int]]:
        """Of the image at each scale; first and last voxel stay where they are."""
        return [
            [int((side - 1) * s) + 1 for side, s in zip(shape, scale, strict=True)]
            for scale in self.scales
        ]

    def at_labels(self, scores_BKS: Tensor, scale: Sequence[Fraction]) -> Tensor:
        """The scores where labels of a scale's own, coarse grid are taken: nearest voxels.

        Of scores that have risen to the image's grid. So scores and labels that are
        compared lie at the same place, whatever side the image has.
        """
        sides = zip(scores_BKS.shape[2:], scale, strict=True)
        grid = [-(-int(side * s) // self.stride) or 1 for side, s in sides]
        return F.interpolate(scores_BKS, grid, mode="nearest-exact")
