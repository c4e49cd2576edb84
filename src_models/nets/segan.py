"""SegAN: its segmentor.

Xue, Xu, Zhang, Long & Huang, "SegAN: Adversarial Network with Multi-scale L1 Loss for
Medical Image Segmentation", Neuroinformatics 16, 2018. https://arxiv.org/abs/1706.01805
Layers as in the authors' release, https://github.com/YuanXue1993/SegAN

The critic that makes it what it is is in `src_models.adversaries.segan`.

Shape letters: B batch, C channels, S spatial axes (Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import LINEAR, check_input, crop_to, to_multiple
from src_models.nets.atrous import Layers, Norm

if TYPE_CHECKING:
    from collections.abc import Callable

# Of each level: channels in units of the width, the strided kernel and its margin.
LEVELS = ((1, 7, 3), (2, 5, 2), (4, 5, 2), (8, 5, 2), (8, 5, 2), (16, 4, 1), (32, 3, 1))
# On the way up, from the deepest: channels, and the side of the kernel; 3 is an ordinary
# one, those above are made of two lines.
RISES = ((16, 3), (8, 3), (8, 7), (4, 7), (2, 9), (1, 9), (1, 11))
NARROWEST = 8  # in units of the width


class Cross(nn.Module):
    """A large kernel of two lines, one after the other and in the other order, added."""

    def __init__(self, c_in: int, c_out: int, side: int) -> None:
        super().__init__()
        tall = {"kernel_size": (side, 1), "padding": (side // 2, 0)}
        wide = {"kernel_size": (1, side), "padding": (0, side // 2)}
        self.left, self.right = (
            nn.Sequential(nn.Conv2d(c_in, c_out, **one), nn.Conv2d(c_out, c_out, **two))  # type: ignore[arg-type]
            for one, two in ((tall, wide), (wide, tall))
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        y_BCS: Tensor = self.left(x_BCS) + self.right(x_BCS)
        return y_BCS


class Added(nn.Module):
    """What the layers make of the input is added to it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        y_BCS: Tensor = x_BCS + self.layers(x_BCS)
        return y_BCS


def leaky() -> nn.Module:
    """The activation on the way down."""
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    """The activation on the way up."""
    return nn.ReLU(inplace=True)


def unit(channels: int, active: Callable[[], nn.Module]) -> Added:
    """Widen to twice, convolve, narrow; added."""
    twice = 2 * channels
    return Added(
        nn.Conv2d(channels, twice, 1, bias=False),
        active(),
        nn.Conv2d(twice, twice, 3, padding=1, bias=False),
        active(),
        nn.Conv2d(twice, channels, 1, bias=False),
        active(),
    )


def settled(layers: Layers, c_in: int, c_out: int, side: int = 1) -> list[nn.Module]:
    """A convolution and its normalisation."""
    conv = nn.Conv2d(c_in, c_out, side, padding=side // 2, bias=False)
    return [conv, layers.normed(c_out)]


def lowered(layers: Layers, at: int, c_in: int, c_out: int) -> nn.Sequential:
    """A level on the way down: half as large, then what is added, but at the bottom."""
    _, side, margin = LEVELS[at]
    conv = nn.Conv2d(c_in, c_out, side, stride=2, padding=margin, bias=False)
    steps = [conv, *([layers.normed(c_out)] if at else []), leaky()]
    if at < len(LEVELS) - 2:
        steps.append(unit(c_out, leaky))
    elif at == len(LEVELS) - 2:
        steps.append(Added(*settled(layers, c_out, c_out), leaky()))
    return nn.Sequential(*steps)


def raised(layers: Layers, at: int, c_in: int, c_out: int) -> nn.Sequential:
    """A level on the way up, of what has been enlarged."""
    side = RISES[at][1]
    if side == 3:
        steps = settled(layers, c_in, c_out, side)
    else:
        steps = [Cross(c_in, c_out, side), layers.normed(c_out)]
    added = unit(c_out, relu) if at else Added(*settled(layers, c_out, c_out), relu())
    return nn.Sequential(*steps, relu(), added)


class SegAN(nn.Module):
    """Logits for every pixel, from 128 × 128 down to one place and up again.

    Of the release the normalisations inside its residual units, which are declared and
    never called, are left out.

    Parameters
    ----------
    ndim : {2}
    in_channels, classes : int
        C of the input, K of the output; the release has one map and a sigmoid.
    width : int
        Channels of the first level.
    norm : {"batch", "group"}
        Between the units; "batch" as released.
    """

    def __init__(
        self,
        *,
        ndim: int = 2,
        in_channels: int,
        classes: int,
        width: int = 64,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        # The sixth kernel, of 4, wants a side of 2 or more; the seventh takes one of 1.
        self.stride: int = 2 ** (len(LEVELS) - 1)
        layers = Layers(ndim, norm)
        widths = [width * times for times, _, _ in LEVELS]
        self.down = nn.ModuleList(
            lowered(layers, at, c_in, c_out)
            for at, (c_in, c_out) in enumerate(pairwise((in_channels, *widths)))
        )
        narrow, bottom = NARROWEST * width, widths[-1]
        self.squeeze = nn.Sequential(
            *settled(layers, bottom, narrow),
            leaky(),
            *settled(layers, narrow, bottom),
            relu(),
        )
        rises = [width * times for times, _ in RISES]
        self.up = nn.ModuleList(
            raised(layers, at, below + level, c_out)
            for at, (below, level, c_out) in enumerate(
                zip((bottom, *rises[:-1]), reversed(widths), rises, strict=True)
            )
        )
        self.head = nn.Conv2d(width, classes, 5, padding=2, bias=False)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        seen = [to_multiple(x_BCS, self.stride)]
        for down in self.down:
            seen.append(down(seen[-1]))
        x = self.squeeze(seen[-1])
        for up in self.up:
            joined = torch.cat([seen.pop(), x], 1)
            shape = seen[-1].shape[2:]
            x = up(F.interpolate(joined, shape, mode=LINEAR[self.ndim]))
        return crop_to(self.head(x), x_BCS.shape[2:])
