"""Attention over positions and over channels, as DANet introduced them.

Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, sections 3.2, 3.3.
https://arxiv.org/abs/1809.02983

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), N voxels that ask,
M voxels that are asked, D channels they are compared by.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import CONV

AVERAGE = {2: F.avg_pool2d, 3: F.avg_pool3d}
# Weights N x M of one image held at a time: 16 MiB in 32 bits. For 512 channels of an
# image of 1024² at stride 8, 16641 voxels, all at once took 2117 MiB beyond the input,
# in these parts 103 MiB, in the same time (measured on two cores).
HELD = 2**22


class PositionAttention(nn.Module):
    """Every voxel adds what the voxels like it hold: y = gamma * seen + x.

    Queries and keys are compared as they are, not over the root of their channels.

    Parameters
    ----------
    ndim : {2, 3}
    channels : int
        C; queries and keys have an eighth.
    pool : int
        Keys and values are averages of so many voxels an axis; 1 as published. The
        weights are fewer by pool**ndim, which is what makes volumes affordable.
    """

    def __init__(self, ndim: int, channels: int, *, pool: int = 1) -> None:
        super().__init__()
        self.pool, compared = pool, max(1, channels // 8)
        self.query = CONV[ndim](channels, compared, 1)
        self.key = CONV[ndim](channels, compared, 1)
        self.value = CONV[ndim](channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        asked = x_BCS
        if self.pool > 1:  # an average over what there is, where the side runs out
            asked = AVERAGE[x_BCS.ndim - 2](x_BCS, self.pool, self.pool, ceil_mode=True)
        seen_BCN = attend(
            self.query(x_BCS).flatten(2),
            self.key(asked).flatten(2),
            self.value(asked).flatten(2),
        )
        return self.gamma * seen_BCN.view_as(x_BCS) + x_BCS


def attend(
    query_BDN: Tensor, key_BDM: Tensor, value_BCM: Tensor, held: int = HELD
) -> Tensor:
    """Values averaged by softmax over M of query · key, (B, C, N).

    Worked out for some of N at a time, so that at most `held` weights of an image exist
    at once (and never fewer than M). To learn, all of them have to be kept.
    """
    some = max(1, held // key_BDM.shape[2])
    parts = [
        value_BCM @ (query_BDn.mT @ key_BDM).softmax(-1).mT
        for query_BDn in torch.split(query_BDN, some, 2)
    ]
    return torch.cat(parts, 2)


class ChannelAttention(nn.Module):
    """Every channel adds the channels least like it: y = gamma * seen + x.

    Likeness is X Xᵀ; softmax is taken of (its largest in the row - likeness).
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        x_BCN = x_BCS.flatten(2)
        # A sum over all voxels: beyond the range of float16, too coarse in bfloat16.
        with torch.autocast(x_BCS.device.type, enabled=False):
            exact = x_BCN.float()
            like_BCC = exact @ exact.mT
            weights_BCC = (like_BCC.amax(-1, keepdim=True) - like_BCC).softmax(-1)
        seen_BCN = weights_BCC.to(x_BCN.dtype) @ x_BCN
        return self.gamma * seen_BCN.view_as(x_BCS) + x_BCS
