"""SCU-Net, which segments blocks of slices, and the BiCLSTM that repairs what it says.

Li, Li, Lin & Qian, "Pancreas segmentation via spatial context based U-net and bidirectional
LSTM", 2019. https://arxiv.org/abs/1903.00832

Shape letters: B batch, C channels, Z slices, Y X the slice, k slices of a block, F features
of a slice, K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from src_models.blocks import CONV, check_input, crop_to
from src_models.nets.convlstm import BiConvLSTM
from src_models.nets.unet import Norm, UNet
from src_models.outputs import Auxiliary, Outputs

FEATURES = 8  # of each slice of a block


class SCUNet(nn.Module):
    """Logits for every voxel of a volume, block by block, then slice by slice in order.

    A block of neighbouring slices are the channels of a 2D U-Net, which gives features of
    each; a layer that all slices share scores them. The BiCLSTM reads each slice of the
    image with what was said of it, there and back over all blocks, and says it anew. It
    teaches nothing to the U-Net: the two learn apart, so that in training both answers
    are given, the first as an auxiliary one.

    Parameters
    ----------
    ndim : {3}
    in_channels, classes : int
        C of the input, K of the output.
    block : int
        k. The last slice is repeated where they do not come out even.
    widths : pairs of int
        Of the U-Net's levels, finest first.
    norm : {"none", "batch", "instance"}
        Of the U-Net.
    hidden : int
        Channels of the BiCLSTM in each direction.
    memory : {"both", "none"}
        Without it, SCU-Net alone; with blocks of one slice, a U-Net slice by slice.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        block: int = 5,
        widths: tuple[tuple[int, int], ...],
        norm: Norm = "instance",
        hidden: int = 32,
        memory: Literal["both", "none"] = "both",
    ) -> None:
        super().__init__()
        if block < 1:
            raise ValueError(f"a block has one slice at least, got {block}")
        self.ndim, self.in_channels, self.block = ndim, in_channels, block
        self.stride: int = 2 ** (len(widths) - 1)
        self.unet = UNet(
            ndim=2,
            in_channels=block * in_channels,
            classes=block * FEATURES,
            widths=widths,
            norm=norm,
        )
        self.score = nn.Sequential(nn.ReLU(), CONV[3](FEATURES, classes, 1))
        self.memory: BiConvLSTM | None = None
        if memory == "both":
            given = in_channels + classes - 1
            self.memory = BiConvLSTM(ndim=2, in_channels=given, hidden=hidden)
            self.answer = CONV[3](2 * hidden, classes, 1)

    def forward(self, x_BCZYX: Tensor) -> Tensor | Outputs:
        """x_BCZYX -> logits_BKZYX, for any sides."""
        check_input(x_BCZYX, self.ndim, self.in_channels)
        first = self.first(x_BCZYX)
        if self.memory is None:
            return first
        seen = torch.cat([x_BCZYX, likely(first.detach())], 1)
        logits: Tensor = self.answer(self.memory(seen))
        if not self.training:
            return logits
        return Outputs(logits, (Auxiliary(1.0, first),))

    def first(self, x_BCZYX: Tensor) -> Tensor:
        """What SCU-Net alone says: logits_BKZYX."""
        k, slices = self.block, x_BCZYX.shape[2]
        last = x_BCZYX[:, :, -1:].expand(-1, -1, -slices % k, -1, -1)
        blocks = torch.cat([x_BCZYX, last], 2)
        b, c, z, y, x = blocks.shape
        flat = blocks.reshape(b, c, z // k, k, y, x).transpose(1, 2)
        features = self.unet(flat.reshape(b * z // k, c * k, y, x))
        apart = features.reshape(b, z // k, FEATURES, k, y, x).transpose(1, 2)
        logits = self.score(apart.reshape(b, FEATURES, z, y, x))
        return crop_to(logits, x_BCZYX.shape[2:])


def likely(logits_BKS: Tensor) -> Tensor:
    """(B, K−1, *S): how likely each structure is against background alone, 0 … 1.

    With one structure its softmax. What is said of one does not hang on the others, so
    that classes can be added without changing what the known ones are taken for.
    """
    return (logits_BKS[:, 1:] - logits_BKS[:, :1]).sigmoid()
