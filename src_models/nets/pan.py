"""Pyramid Attention Network, PAN.

Li, Xiong, An & Wang, "Pyramid Attention Network for Semantic Segmentation", BMVC 2018.
https://arxiv.org/abs/1805.10180

The paper leaves the width of the attention pyramid open. Here it is one map for all
channels and the decoder has 32, as in the widespread library
segmentation_models.pytorch; or the pyramid is a quarter as wide as the features and
everything is enlarged by learned kernels, as in a third party's code
(Pyramid-Attention-Networks-pytorch). The gate is a sigmoid in both. The ResNet begins
with one 7-wide convolution; the authors are said to have put three 3-wide ones there.

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import CONV, UP, check_input, crop_to, rise, to_lattice
from src_models.nets.atrous import Layers, Norm, ResNet

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDE = 16
KERNELS = (7, 5, 3)  # of the attention pyramid, each level half as fine


def image_mean(x_BCS: Tensor) -> Tensor:
    """x_BCS -> one value a channel, with the axes kept."""
    return x_BCS.mean(tuple(range(2, x_BCS.ndim)), keepdim=True)


class Up(nn.Module):
    """To a finer grid of the same corners: linearly, or by a convolution.

    The learned one has 4-wide transposed kernels, and 1-wide ones where the grid stays;
    it may change the width.
    """

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        c_out: int,
        *,
        learned: bool,
        finer: bool = True,
    ) -> None:
        super().__init__()
        self.convs = None
        if learned:
            conv = (
                UP[layers.ndim](c_in, c_out, 4, stride=2, padding=1, bias=False)
                if finer
                else CONV[layers.ndim](c_in, c_out, 1, bias=False)
            )
            self.convs = nn.Sequential(conv, layers.normed(c_out))

    def forward(self, x_BCS: Tensor, shape: Sequence[int]) -> Tensor:
        """x_BCS -> y_BCS of spatial `shape`; where that is x's and no kernel, x."""
        if self.convs is not None:
            return crop_to(self.convs(x_BCS), shape)
        return x_BCS if x_BCS.shape[2:] == shape else rise(x_BCS, shape)


class Pyramid(nn.Module):
    """A look at half as fine a grid, and, added to it, all that lies below it.

    Recursive: each kernel is a level, coarser than the one before.
    """

    def __init__(
        self, layers: Layers, c_in: int, c_out: int, mid: int | None, *kernels: int
    ) -> None:
        """`mid`: channels between the kernels; None: one, and enlarged linearly."""
        super().__init__()
        kernel, *rest = kernels
        width = mid or 1
        self.down = layers.conv(c_in, width, kernel, stride=2)
        self.look = layers.conv(width, width, kernel)
        self.below = Pyramid(layers, width, width, mid, *rest) if rest else None
        self.up = Up(layers, width, c_out, learned=mid is not None)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> weights_BCS ≥ 0, of the same S."""
        y = self.down(x_BCS)
        seen = self.look(y)
        if self.below is not None:
            seen = seen + self.below(y)
        return F.relu(self.up(seen, x_BCS.shape[2:]))


class FPA(nn.Module):
    """Feature pyramid attention: the pyramid multiplies, the whole image is added.

    Three halvings want a side of 9, 17, 25 …: the last voxel is repeated up to there.
    """

    def __init__(self, layers: Layers, c_in: int, c_out: int, mid: int | None) -> None:
        """`mid`: channels of the pyramid; None: one map for all, enlarged linearly."""
        super().__init__()
        self.main = layers.conv(c_in, c_out)
        self.image = layers.conv(c_in, c_out)
        self.pyramid = Pyramid(layers, c_in, c_out, mid, *KERNELS)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS, for any S."""
        weights = self.pyramid(to_lattice(x_BCS, 2 ** len(KERNELS)))
        weighed = self.main(x_BCS) * crop_to(weights, x_BCS.shape[2:])
        y_BCS: Tensor = weighed + self.image(image_mean(x_BCS))
        return y_BCS


class GAU(nn.Module):
    """Global attention upsample: what is high says which channels of the low count."""

    def __init__(
        self, layers: Layers, c_high: int, c_low: int, c_out: int, *, finer: bool
    ) -> None:
        super().__init__()
        self.gate = layers.conv(c_high, c_out, relu=False)
        self.low = layers.conv(c_low, c_out, 3, relu=False)
        self.up = Up(layers, c_high, c_out, learned=c_high != c_out, finer=finer)

    def forward(self, high_BCS: Tensor, low_BCS: Tensor) -> Tensor:
        """high_BCS, low_BCS -> y_BCS on the grid of the low."""
        gate = self.gate(image_mean(high_BCS)).sigmoid()
        risen = self.up(high_BCS, low_BCS.shape[2:])
        return F.relu(risen + gate * self.low(low_BCS))


class PAN(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    blocks, stem : tuple of int, int
        Bottlenecks of the ResNet's stages, channels of its stem.
    width : int or None
        Channels of the decoder, below a pyramid of one map. None: those of the
        features at each stride, below a pyramid of a quarter of the last, with
        transposed convolutions on the way up.
    norm : {"batch", "group"}
        "batch" as published; it needs batches of a dozen images.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        blocks: tuple[int, ...] = (3, 4, 23, 3),
        stem: int = 64,
        width: int | None = 32,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers = Layers(ndim, norm)
        self.encoder = ResNet(layers, in_channels, STRIDE, blocks=blocks, width=stem)
        *lows, top = (4 * stem * 2**level for level in range(4))
        widths = [width or c for c in (top, *reversed(lows))]
        self.fpa = FPA(layers, top, widths[0], None if width else top // 4)
        self.gaus = nn.ModuleList(
            GAU(layers, c_high, c_low, c_out, finer=at > 0)  # the first stays at 16
            for at, (c_low, (c_high, c_out)) in enumerate(
                zip(reversed(lows), pairwise(widths), strict=True)
            )
        )
        self.head = CONV[ndim](widths[-1], classes, 3, padding=1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_lattice(x_BCS, STRIDE)
        *lows, top = self.encoder.features(x)
        y = self.fpa(top)
        for gau, low in zip(self.gaus, reversed(lows), strict=True):
            y = gau(y, low)
        return crop_to(rise(self.head(y), x.shape[2:]), x_BCS.shape[2:])
