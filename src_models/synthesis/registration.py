"""What a net that aligns scans learns from.

Balakrishnan et al., "VoxelMorph: A Learning Framework for Deformable Medical Image
Registration", IEEE TMI 2019, sections III.B and III.C. https://arxiv.org/abs/1809.05231

Shape letters: B batch, C channels, D = number of S axes, S spatial axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from src_models.nets.unet import UNet

if TYPE_CHECKING:
    from torch import Tensor

AVERAGE = {2: F.avg_pool2d, 3: F.avg_pool3d}
# Channels of the U-Nets that say flows and colours, by size.
WIDTHS = {
    "compact": ((8, 8), (16, 16), (16, 16)),
    "paper": ((16, 16), (32, 32), (32, 32), (32, 32)),
}
STILL = (
    1e-5  # standard deviation of the last layer's weights: almost no change at first
)
SURE = 1e-3  # variances below it are as good as flat, where correlation says nothing


def flow_net(size: str, ndim: int, channels: int) -> UNet:
    """(atlas, scan) (B, 2C, *S) → flow (B, D, *S); almost 0 at first.

    `channels`: C of the images.
    """
    return _net(size, ndim, channels, ndim)


def colour_net(size: str, ndim: int, channels: int) -> UNet:
    """(atlas, scan on the atlas's grid) (B, 2C, *S) → what to add to the atlas."""
    return _net(size, ndim, channels, channels)


def _net(size: str, ndim: int, channels: int, out: int) -> UNet:
    net = UNet(
        ndim=ndim,
        in_channels=2 * channels,
        classes=out,
        widths=WIDTHS[size],
        norm="none",
    )
    nn.init.normal_(net.head.weight, std=STILL)
    return net


def unlike(one_BCS: Tensor, other_BCS: Tensor, window: int) -> Tensor:
    """1 − mean squared local correlation, in [0, 1]; 0 where each is linear in the other.

    `window`: side, in voxels, of the cubes in which it is taken; odd.
    """

    def mean(x: Tensor) -> Tensor:
        average = AVERAGE[x.ndim - 2]
        found: Tensor = average(x, window, 1, window // 2, count_include_pad=False)
        return found

    a, b = one_BCS.float(), other_BCS.float()
    mean_a, mean_b = mean(a), mean(b)
    both = mean(a * b) - mean_a * mean_b
    var_a = (mean(a * a) - mean_a**2).clamp(min=0)
    var_b = (mean(b * b) - mean_b**2).clamp(min=0)
    # Both variances get the same floor, so that the quotient stays below 1.
    return 1 - (both**2 / ((var_a + SURE) * (var_b + SURE))).mean()


def roughness(x_BCS: Tensor, where_S: Tensor | None = None) -> Tensor:
    """Mean squared step from voxel to voxel along each axis; 0 if constant.

    `where_S` (0 … 1) weighs each step by the voxel that it starts from.
    """
    parts = []
    for axis in range(2, x_BCS.ndim):
        steps = x_BCS.diff(dim=axis) ** 2
        if where_S is not None:
            steps = steps * where_S.narrow(axis - 2, 0, steps.shape[axis])
        parts.append(steps.mean() if steps.numel() else x_BCS.sum() * 0)
    return torch.stack(parts).mean()


def inside(labels_S: Tensor) -> Tensor:
    """(*S) float32: 1, but 0 where the next voxel along any axis has another label."""
    same = torch.ones_like(labels_S, dtype=torch.float32)
    for axis in range(labels_S.ndim):
        count = labels_S.shape[axis] - 1
        differs = labels_S.diff(dim=axis) != 0
        same.narrow(axis, 0, count)[differs] = 0
    return same
