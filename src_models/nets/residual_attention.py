"""Residual Attention Network as the encoder of a segmentation net.

Wang, Jiang, Qian, Yang, Li, Zhang, Wang & Tang, "Residual Attention Network for Image
Classification", CVPR 2017. https://arxiv.org/abs/1704.06904

The paper classifies images and segments nothing. The trunk is its own, to the layer; the
decoder is ours, on the plan of a U-Net: the features of strides 32, 16, 8 and 4 are
brought to one width, enlarged, concatenated and convolved; the logits of stride 4 rise
linearly.

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import CONV, POOL, check_input, crop_to, rise, to_lattice
from src_models.nets.atrous import Layers, Norm

STRIDE = 32  # of the last stage, and of the bottom of every mask


def ready(layers: Layers, channels: int) -> nn.Sequential:
    """What comes before a convolution here: normalisation and ReLU."""
    return nn.Sequential(layers.normed(channels), nn.ReLU(inplace=True))


class Unit(nn.Module):
    """Pre-activation bottleneck; without a stride or a new width the input is added."""

    def __init__(
        self, layers: Layers, c_in: int, channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        conv, mid = CONV[layers.ndim], channels // 4
        self.ready = ready(layers, c_in)
        self.convs = nn.Sequential(
            layers.conv(c_in, mid),
            layers.conv(mid, mid, 3, stride=stride),
            conv(mid, channels, 1, bias=False),
        )
        self.project = (
            None
            if c_in == channels and stride == 1
            else conv(c_in, channels, 1, stride=stride, bias=False)
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        active = self.ready(x_BCS)
        past = x_BCS if self.project is None else self.project(active)
        y_BCS: Tensor = self.convs(active) + past
        return y_BCS


class Mask(nn.Module):
    """Which channel matters where: down, up again to the sizes met on the way, logits.

    Each level on the way up receives that of the way down through a unit of its own.
    """

    def __init__(self, layers: Layers, channels: int, depth: int) -> None:
        super().__init__()

        def units(n: int) -> nn.ModuleList:
            return nn.ModuleList(Unit(layers, channels, channels) for _ in range(n))

        conv = CONV[layers.ndim]
        self.pool = POOL[layers.ndim](3, stride=2, padding=1)
        self.down, self.bottom = units(depth), Unit(layers, channels, channels)
        self.skip, self.up = units(depth - 1), units(depth - 1)
        self.weigh = nn.Sequential(
            ready(layers, channels),
            layers.conv(channels, channels),
            conv(channels, channels, 1, bias=False),
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BCS of the mask, of any S."""
        y, levels = x_BCS, []
        for down in self.down:
            y = down(self.pool(y))
            levels.append(y)
        y = self.bottom(levels.pop())
        for skip, up in zip(self.skip, self.up, strict=True):
            level = levels.pop()
            y = up(rise(y, level.shape[2:]) + skip(level))
        logits_BCS: Tensor = self.weigh(rise(y, x_BCS.shape[2:]))
        return logits_BCS


class AttentionModule(nn.Module):
    """(1 + M) · T: the mask strengthens what the trunk says and can never silence it."""

    def __init__(self, layers: Layers, channels: int, depth: int) -> None:
        super().__init__()
        self.before = Unit(layers, channels, channels)  # p = 1
        self.trunk = nn.Sequential(  # t = 2
            Unit(layers, channels, channels), Unit(layers, channels, channels)
        )
        self.mask = Mask(layers, channels, depth)  # r = 1 unit between its pools
        self.after = Unit(layers, channels, channels)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS, for any S."""
        x = self.before(x_BCS)
        y_BCS: Tensor = self.after(self.trunk(x) * (1 + self.mask(x).sigmoid()))
        return y_BCS


class ResidualAttention(nn.Module):
    """The published net up to its last pool: features at strides 4, 8, 16 and 32.

    Parameters
    ----------
    layers : Layers
    in_channels : int
    modules : tuple of int
        Attention modules of the first three stages.
    depths : tuple of int
        Pools in the masks of each of these stages.
    width : int
        Channels of the stem.

    Attributes
    ----------
    channels : list of int
        Of the four features: 4, 8, 16 and 32 times the stem's.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        *,
        modules: tuple[int, ...] = (1, 1, 1),
        depths: tuple[int, ...] = (3, 2, 1),
        width: int = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            layers.conv(in_channels, width, 7, stride=2),
            POOL[layers.ndim](3, stride=2, padding=1),
        )
        self.channels = [width * 4 * 2**level for level in range(4)]
        self.stages = nn.ModuleList()
        c_in = width
        for level, c_out in enumerate(self.channels):
            stage: list[nn.Module] = [Unit(layers, c_in, c_out, 1 if level == 0 else 2)]
            if level < 3:
                for _ in range(modules[level]):
                    stage.append(AttentionModule(layers, c_out, depths[level]))
            else:
                stage += [Unit(layers, c_out, c_out) for _ in range(2)]
                stage.append(ready(layers, c_out))
            self.stages.append(nn.Sequential(*stage))
            c_in = c_out

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, ...]:
        """x_BCS -> what each of the four stages gives, finest first."""
        y, seen = self.stem(x_BCS), []
        for stage in self.stages:
            y = stage(y)
            seen.append(y)
        return tuple(seen)


class ResidualAttentionNet(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    modules : tuple of int
        Attention modules of the stages: (1, 1, 1) is Attention-56, (1, 2, 3) -92.
    depths : tuple of int
        Pools in the masks of each stage. Fixed when the net is made: a short axis is
        padded to 33 voxels, of which two are left at the bottom of each mask.
    stem : int
        Channels of the stem.
    width : int
        Channels of the decoder.
    norm : {"batch", "group"}
        "batch" as published; the authors advise batches of 32 and more on each device.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        modules: tuple[int, ...] = (1, 1, 1),
        depths: tuple[int, ...] = (3, 2, 1),
        stem: int = 64,
        width: int = 256,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers = Layers(ndim, norm)
        self.encoder = ResidualAttention(
            layers, in_channels, modules=modules, depths=depths, width=stem
        )
        self.side = nn.ModuleList(layers.conv(c, width) for c in self.encoder.channels)
        self.join = nn.ModuleList(layers.conv(2 * width, width, 3) for _ in range(3))
        self.head = CONV[ndim](width, classes, 1)
        # PyTorch's own start is less than half as wide: 56 layers then wake late.
        for module in self.modules():
            if isinstance(module, _ConvNd):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_lattice(x_BCS, STRIDE)
        features = self.encoder(x)
        *finer, y = (f(feature) for f, feature in zip(self.side, features, strict=True))
        for side, join in zip(reversed(finer), self.join, strict=True):
            y = join(torch.cat([rise(y, side.shape[2:]), side], 1))
        return crop_to(rise(self.head(y), x.shape[2:]), x_BCS.shape[2:])
