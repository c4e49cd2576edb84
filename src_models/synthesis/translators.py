"""Nets that turn images of one modality into the other, and the critics of both.

Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", ICCV 2017, section 7.1. https://arxiv.org/abs/1703.10593

Shape letters: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from src_models.blocks import (
    CONV,
    UP,
    InstanceNorm,
    check_input,
    crop_to,
    mirror,
    to_multiple,
)
from src_models.nets.unet import UNet

if TYPE_CHECKING:
    from src_models.adversaries.options import Size

SPREAD = 0.02  # standard deviation of all weights at first
STRIDE = 4  # of the residual translator's coarsest grid


class Widths(NamedTuple):
    """Of the first layer of a translator, its blocks and first kernel; of a critic."""

    width: int
    blocks: int
    kernel: int
    critic: int
    halvings: int


WIDTHS = {"paper": Widths(64, 9, 7, 64, 3), "compact": Widths(8, 3, 3, 8, 2)}
# Channels of the translators with long skip connections.
UNET_WIDTHS = {
    "paper": ((32, 32), (64, 64), (128, 128), (256, 256)),
    "compact": ((6, 6), (12, 12), (24, 24)),
}


def norm(channels: int) -> InstanceNorm:
    """Without scale and shift, as released."""
    return InstanceNorm(channels, affine=False)


class Residual(nn.Module):
    """x + two normalised convolutions of it."""

    def __init__(self, ndim: int, channels: int) -> None:
        super().__init__()

        def conv() -> nn.Module:
            return CONV[ndim](
                channels, channels, 3, padding=1, padding_mode="replicate"
            )

        self.layers = nn.Sequential(
            conv(), norm(channels), nn.ReLU(inplace=True), conv(), norm(channels)
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        moved: Tensor = self.layers(x_BCS)
        return x_BCS + moved


class ResidualTranslator(nn.Module):
    """Halved twice, a row of residual blocks, doubled twice: (B, C, *S) -> the same.

    The answer is linear, not squeezed into −1 … 1: images here are normalised to mean 0
    and standard deviation 1. Edges are repeated where the release mirrors them, so that
    any size goes.

    Parameters
    ----------
    ndim : {2, 3}
    channels : int
        C, of both modalities.
    width : int
        After the first convolution; it doubles at each halving.
    blocks : int
    kernel : int
        Side of the first and the last convolution; odd.
    """

    def __init__(
        self, *, ndim: int, channels: int, width: int, blocks: int, kernel: int
    ) -> None:
        super().__init__()
        self.ndim, self.channels = ndim, channels

        def edge(c_in: int, c_out: int) -> nn.Module:
            return CONV[ndim](
                c_in, c_out, kernel, padding=kernel // 2, padding_mode="replicate"
            )

        def settled(conv: nn.Module, c: int) -> list[nn.Module]:
            return [conv, norm(c), nn.ReLU(inplace=True)]

        layers = settled(edge(channels, width), width)
        for c in (width, 2 * width):
            down = CONV[ndim](c, 2 * c, 3, stride=2, padding=1)
            layers += settled(down, 2 * c)
        layers += [Residual(ndim, 4 * width) for _ in range(blocks)]
        for c in (4 * width, 2 * width):
            up = UP[ndim](c, c // 2, 3, stride=2, padding=1, output_padding=1)
            layers += settled(up, c // 2)
        self.layers = nn.Sequential(*layers, edge(width, channels))
        settle_weights(self)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS, for any S."""
        check_input(x_BCS, self.ndim, self.channels)
        whole: Tensor = self.layers(to_multiple(x_BCS, STRIDE))
        return crop_to(whole, x_BCS.shape[2:])


class PatchCritic(nn.Module):
    """Whether each of overlapping patches is real: about 1 if so, about 0 if made.

    With three halvings a patch has 70 voxels a side, with two 34. Sides below
    `3 · 2^halvings` are mirrored up to it.

    Parameters
    ----------
    ndim : {2, 3}
    channels : int
        C of the images.
    width : int
        After the first convolution; doubles at each level, to eight times at most.
    halvings : int
    """

    def __init__(self, *, ndim: int, channels: int, width: int, halvings: int) -> None:
        super().__init__()
        self.least = 3 * 2**halvings
        layers: list[nn.Module] = []
        c_in = channels
        for level in range(halvings + 1):
            c = width * 2 ** min(level, 3)
            stride = 2 if level < halvings else 1
            layers.append(CONV[ndim](c_in, c, 4, stride=stride, padding=1))
            if level:
                layers.append(norm(c))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            c_in = c
        self.layers = nn.Sequential(*layers, CONV[ndim](c_in, 1, 4, padding=1))
        settle_weights(self)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> answers (B, 1, *R)."""
        short = [(0, max(0, self.least - side)) for side in x_BCS.shape[2:]]
        answers: Tensor = self.layers(mirror(x_BCS, short))
        return answers


def settle_weights(net: nn.Module) -> None:
    """All convolutions' weights normal with the published spread, their biases 0."""
    for one in net.parameters():
        if one.ndim > 1:
            nn.init.normal_(one, std=SPREAD)
        else:
            nn.init.zeros_(one)


def residual_translator(size: Size, ndim: int, channels: int) -> ResidualTranslator:
    """SynSeg-Net's and CycleGAN's: nine blocks, or three at an eighth of the widths."""
    width, blocks, kernel, *_ = WIDTHS[size]
    return ResidualTranslator(
        ndim=ndim, channels=channels, width=width, blocks=blocks, kernel=kernel
    )


def skipping_translator(size: Size, ndim: int, channels: int) -> UNet:
    """A U-Net whose answer is an image: long skip connections keep what is fine."""
    return UNet(
        ndim=ndim, in_channels=channels, classes=channels, widths=UNET_WIDTHS[size]
    )


def patch_critic(size: Size, ndim: int, channels: int) -> PatchCritic:
    """The critic of one modality."""
    *_, width, halvings = WIDTHS[size]
    return PatchCritic(ndim=ndim, channels=channels, width=width, halvings=halvings)


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """Half the squared distance of a critic's answers from 1 for `real`, 0 for `made`.

    References
    ----------
    Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017, eq. 9.
    """
    return (((real - 1) ** 2).mean() + (made**2).mean()) / 2


def believed(made: Tensor) -> Tensor:
    """The squared distance of a critic's answers from 1, which translators want small."""
    missing: Tensor = ((made - 1) ** 2).mean()
    return missing


def lost(there_and_back: Tensor, image: Tensor) -> Tensor:
    """Mean absolute difference of what came back (Zhu et al., eq. 2)."""
    return torch.mean((there_and_back - image).abs())
