"""DeepLabv3+.

Chen, Zhu, Papandreou, Schroff & Adam, "Encoder-Decoder with Atrous Separable Convolution
for Semantic Image Segmentation", ECCV 2018. https://arxiv.org/abs/1802.02611

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from src_models.blocks import CONV, check_input, crop_to, rise, to_lattice
from src_models.nets.atrous import Layers, Norm, ResNet, Xception

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}  # output stride → dilations that go with it


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: near, three rates of far, and the whole image."""

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        width: int,
        rates: tuple[int, ...],
        separable: bool,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([layers.conv(c_in, width)])
        for rate in rates:
            self.branches.append(
                layers.separable(c_in, width, rate=rate, relu=True)
                if separable
                else layers.conv(c_in, width, 3, rate=rate)
            )
        self.image = layers.conv(c_in, width)
        self.project = layers.conv(width * (len(rates) + 2), width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        axes = tuple(range(2, x_BCS.ndim))
        pooled = self.image(x_BCS.mean(axes, keepdim=True))
        seen = [branch(x_BCS) for branch in self.branches]
        whole = pooled.expand(-1, -1, *x_BCS.shape[2:])
        y_BCS: Tensor = self.dropout(self.project(torch.cat([*seen, whole], 1)))
        return y_BCS


class DeepLabV3Plus(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    encoder : {"resnet", "xception"}
        "xception" brings separable convolutions into the head as well.
    blocks, stem : tuple of int, int
        Bottlenecks of the ResNet's stages, channels of its stem.
    output_stride : {8, 16}
        The coarsest grid. Both take the same weights: the paper trains on 16 and
        predicts on 8.
    width, low : int
        Channels of the head, and of the branch that brings the edges.
    norm : {"batch", "group"}
        "batch" as published; it needs batches of a dozen images.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        encoder: Literal["resnet", "xception"] = "resnet",
        blocks: tuple[int, ...] = (3, 4, 23, 3),
        stem: int = 64,
        output_stride: int = 16,
        width: int = 256,
        low: int = 48,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers, separable = Layers(ndim, norm), encoder == "xception"
        self.encoder = (
            Xception(layers, in_channels, output_stride)
            if separable
            else ResNet(layers, in_channels, output_stride, blocks=blocks, width=stem)
        )
        self.aspp = ASPP(
            layers, self.encoder.channels, width, RATES[output_stride], separable
        )
        self.low = layers.conv(self.encoder.low_channels, low)
        self.refine = nn.Sequential(
            *(
                layers.separable(c_in, width, relu=True)
                if separable
                else layers.conv(c_in, width, 3)
                for c_in in (width + low, width)
            )
        )
        self.head = CONV[ndim](width, classes, 1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_lattice(x_BCS)
        low, y = self.encoder(x)
        y = rise(self.aspp(y), low.shape[2:])
        y = self.refine(torch.cat([y, self.low(low)], 1))
        return crop_to(rise(self.head(y), x.shape[2:]), x_BCS.shape[2:])
