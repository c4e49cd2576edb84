"""V-GAN: its generator.

Son, Park & Jung, "Retinal Vessel Segmentation in Fundoscopic Images with Generative
Adversarial Networks", 2017. https://arxiv.org/abs/1706.09318
Layers as in a copy of the authors' release, https://github.com/Ninebell/V-GAN

The critics that make it what it is are in `src_models.adversaries.vgan`.

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import CONV, POOL, check_input, crop_to, to_multiple
from src_models.nets.atrous import BatchNorm, Layers, Norm

if TYPE_CHECKING:
    from collections.abc import Callable


class ShiftNorm(BatchNorm):
    """Batch normalisation with a shift and no scale, at the rates of Keras."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)
        self.register_parameter("weight", None)


def normed(ndim: int, norm: Norm) -> Callable[[int], nn.Module]:
    """What makes the normalisation of so many channels."""
    return ShiftNorm if norm == "batch" else Layers(ndim, norm).normed


class VGan(nn.Module):
    """Logits for every voxel: a U-Net that enlarges by repeating, without a kernel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output; the release has one map and a sigmoid.
    widths : tuple of int
        Channels of the levels, finest first.
    norm : {"batch", "group"}
        After each convolution but the last; "batch", with a shift alone, as released.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, ...] = (32, 64, 128, 256, 512),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        self.stride: int = 2 ** (len(widths) - 1)
        settle = normed(ndim, norm)

        def double(c_in: int, c_out: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for a in (c_in, c_out):
                layers += [CONV[ndim](a, c_out, 3, padding=1), settle(c_out)]
                layers.append(nn.ReLU(inplace=True))
            return nn.Sequential(*layers)

        self.pool = POOL[ndim](2)
        self.down = nn.ModuleList(
            double(above, level) for above, level in pairwise((in_channels, *widths))
        )
        self.join = nn.ModuleList(
            double(below + level, level) for below, level in pairwise(reversed(widths))
        )
        self.head = CONV[ndim](widths[0], classes, 1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x, skips = to_multiple(x_BCS, self.stride), []
        for level, down in enumerate(self.down):
            x = down(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for join in self.join:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = join(torch.cat([x, skips.pop()], 1))
        return crop_to(self.head(x), x_BCS.shape[2:])
