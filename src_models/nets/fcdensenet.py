"""FC-DenseNet ("the hundred layers Tiramisu").

Jégou, Drozdzal, Vazquez, Romero & Bengio, "The One Hundred Layers Tiramisu: Fully
Convolutional DenseNets for Semantic Segmentation", CVPR Workshops 2017.
https://arxiv.org/abs/1611.09326

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import (
    CONV,
    POOL,
    UP,
    InstanceNorm,
    check_input,
    crop_to,
    to_multiple,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class BatchStatistics(nn.Module):
    """Batch normalisation by the batch at hand, in use as in training.

    The released code does so; with running averages the published weights score less.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS; a single voxel becomes the shift."""
        return torch.batch_norm(
            x_BCS, self.weight, self.bias, None, None, True, 0.0, 1e-5, False
        )


class Dense(nn.Module):
    """Layers that each read the input and all maps before theirs."""

    def __init__(
        self, layer: Callable[[int], nn.Module], channels: int, growth: int, n: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer(channels + i * growth) for i in range(n))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> the new maps only, n·growth channels."""
        maps = [x_BCS]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps[1:], 1)


class FCDenseNet(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    layers : tuple of int
        Layers of each dense block: down, at the bottom, up; an odd number of blocks.
    growth : int
        Maps that a layer adds.
    first : int
        Channels of the first convolution.
    batch_norm : bool
        By the statistics of the batch, as published; else instance normalisation, which
        is the same for a batch of one.
    dropout : float
        After each convolution of a layer and of a transition down.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        layers: tuple[int, ...],
        growth: int,
        first: int = 48,
        batch_norm: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        conv, norm = CONV[ndim], BatchStatistics if batch_norm else InstanceNorm

        def layer(c_in: int, c_out: int = growth, kernel: int = 3) -> nn.Sequential:
            return nn.Sequential(
                norm(c_in),
                nn.ReLU(inplace=True),
                conv(c_in, c_out, kernel, padding=kernel // 2),
                nn.Dropout(dropout),
            )

        depth = len(layers) // 2
        self.stride: int = 2**depth
        self.stem = conv(in_channels, first, 3, padding=1)
        self.down, self.down_block = nn.ModuleList(), nn.ModuleList()
        channels, skips = first, []
        for n in layers[:depth]:
            self.down_block.append(Dense(layer, channels, growth, n))
            channels += n * growth
            skips.append(channels)
            down = layer(channels, channels, kernel=1)
            self.down.append(down.append(POOL[ndim](2)))
        self.bottom = Dense(layer, channels, growth, layers[depth])
        self.up, self.up_block = nn.ModuleList(), nn.ModuleList()
        new = layers[depth] * growth
        for n in layers[depth + 1 :]:
            self.up.append(UP[ndim](new, new, 3, stride=2))
            channels = new + skips.pop()
            self.up_block.append(Dense(layer, channels, growth, n))
            new = n * growth
        self.head = conv(channels + new, classes, 1)
        for module in self.modules():
            if isinstance(module, _ConvNd):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        spatial = x_BCS.shape[2:]
        short = min(spatial) < self.stride  # nothing would be left after the last pool
        y = self.stem(to_multiple(x_BCS, self.stride) if short else x_BCS)
        skips: list[Tensor] = []
        for block, down in zip(self.down_block, self.down, strict=True):
            skips.append(torch.cat([y, block(y)], 1))
            y = down(skips[-1])
        # On the way up a block's input stays behind: only its new maps are upsampled.
        new = self.bottom(y)
        for up, block in zip(self.up, self.up_block, strict=True):
            skip = skips.pop()
            risen = crop_to(up(new), skip.shape[2:], centre=True)
            y = torch.cat([risen, skip], 1)
            new = block(y)
        return crop_to(self.head(torch.cat([y, new], 1)), spatial)
