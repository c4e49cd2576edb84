"""MS-Dual-Guided: attention over positions and channels at four scales, twice, guided.

Sinha & Dolz, "Multi-Scale Self-Guided Attention for Medical Image Segmentation", IEEE
JBHI 2020. https://arxiv.org/abs/1906.02849

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import (
    CONV,
    POOL,
    UP,
    check_input,
    crop_to,
    rise,
    to_lattice,
    to_multiple,
)
from src_models.nets.atrous import Layers, Norm, ResNet
from src_models.nets.dual_attention import ChannelAttention, PositionAttention
from src_models.outputs import Auxiliary, Outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDE = 32  # of the encoder's last stage
ALIKE, REBUILT = 0.25, 0.1  # weights of the two guided losses


def conv(
    layers: Layers, c_in: int, c_out: int, kernel: int, act: type[nn.Module] = nn.PReLU
) -> nn.Sequential:
    """A convolution with bias, normalised; PReLU has one slope for all its channels."""
    return nn.Sequential(
        CONV[layers.ndim](c_in, c_out, kernel, padding=kernel // 2),
        layers.normed(c_out),
        act(),
    )


class SemanticModule(nn.Module):
    """An auto-encoder: a quarter of the grid in between, and the input once more.

    Parameters
    ----------
    layers : Layers
    channels : int
        C of the input, and of what is made of it.
    inner, latent : int
        Channels at a half and at a quarter of the grid.
    """

    def __init__(self, layers: Layers, channels: int, inner: int, latent: int) -> None:
        super().__init__()
        ndim = layers.ndim

        def pair(c_in: int, c_out: int, then: nn.Module) -> nn.Sequential:
            return nn.Sequential(
                conv(layers, c_in, c_out, 3, nn.ReLU),
                conv(layers, c_out, c_out, 3, nn.ReLU),
                then,
            )

        self.encode = nn.Sequential(
            pair(channels, inner, POOL[ndim](2)), pair(inner, latent, POOL[ndim](2))
        )
        self.decode = nn.Sequential(
            pair(latent, inner, UP[ndim](inner, inner, 2, stride=2)),
            pair(inner, channels, UP[ndim](channels, channels, 2, stride=2)),
        )

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> the latent on a quarter of the grid, the rebuilt x_BCS."""
        latent = self.encode(to_multiple(x_BCS, 4))
        return latent, crop_to(self.decode(latent), x_BCS.shape[2:])


class GuidedAttention(nn.Module):
    """One scale: (by position + by channel), each voxel weighed by what was rebuilt."""

    def __init__(self, layers: Layers, width: int, pool: int) -> None:
        super().__init__()

        def branch(attention: nn.Module) -> nn.Sequential:
            return nn.Sequential(
                conv(layers, 2 * width, width, 3),
                attention,
                conv(layers, width, width, 3),
            )

        self.position = branch(PositionAttention(layers.ndim, width, pool=pool))
        self.channel = branch(ChannelAttention())
        self.guide = CONV[layers.ndim](2 * width, width, 3, padding=1)
        self.mix = CONV[layers.ndim](width, width, 1)

    def forward(self, x_BCS: Tensor, rebuilt_BCS: Tensor) -> Tensor:
        """x_BCS, rebuilt_BCS of twice the width -> y_BCS."""
        seen = self.position(x_BCS) + self.channel(x_BCS)
        y_BCS: Tensor = self.mix(seen * self.guide(rebuilt_BCS))
        return y_BCS


class Pass(NamedTuple):
    """What a step makes of each scale, finest first."""

    given: list[Tensor]
    latent: list[Tensor]
    rebuilt: list[Tensor]
    attended: list[Tensor]


class Step(nn.Module):
    """An attention for each of the four scales, one semantic module for all of them."""

    def __init__(
        self, layers: Layers, width: int, semantic: tuple[int, int], pool: int
    ) -> None:
        super().__init__()
        self.semantic = SemanticModule(layers, 2 * width, *semantic)
        self.scales = nn.ModuleList(
            GuidedAttention(layers, width, pool) for _ in range(4)
        )

    def forward(self, given: list[Tensor]) -> Pass:
        """Four x_BCS on one grid -> what becomes of them."""
        latent, rebuilt, attended = [], [], []
        for x, attention in zip(given, self.scales, strict=True):
            code, again = self.semantic(x)
            latent.append(code)
            rebuilt.append(again)
            attended.append(attention(x, again))
        return Pass(given, latent, rebuilt, attended)


def guided_loss(first: Pass, second: Pass) -> Tensor:
    """0.25 * sum of MSE(latents of the steps) + 0.1 * sum of MSE(rebuilt, given).

    The first sum is over the scales, the second over the scales of both steps.
    """
    alike = map(F.mse_loss, first.latent, second.latent)
    rebuilt = map(
        F.mse_loss, first.rebuilt + second.rebuilt, first.given + second.given
    )
    return ALIKE * torch.stack([*alike]).sum() + REBUILT * torch.stack([*rebuilt]).sum()


class DualGuidedHead(nn.Module):
    """All but the encoder.

    Parameters
    ----------
    layers : Layers
    c_in : sequence of int
        Channels of the encoder's four stages, the finest first.
    width, classes : int
        Channels of every scale, K.
    semantic : (int, int)
        Inner and latent channels of the semantic modules.
    pool : int
        Of the keys of `PositionAttention`.
    """

    def __init__(
        self,
        layers: Layers,
        c_in: Sequence[int],
        width: int,
        classes: int,
        *,
        semantic: tuple[int, int],
        pool: int,
    ) -> None:
        super().__init__()

        def classify() -> nn.ModuleList:
            return nn.ModuleList(CONV[layers.ndim](width, classes, 1) for _ in c_in)

        self.down = nn.ModuleList(conv(layers, c, width, 1) for c in c_in)
        self.fuse = nn.Sequential(
            conv(layers, 4 * width, width, 3),
            conv(layers, width, width, 3),
            conv(layers, width, width, 1),
        )
        self.first = Step(layers, width, semantic, pool)
        self.second = Step(layers, width, semantic, pool)
        self.coarse, self.refined = classify(), classify()

    def forward(
        self, features: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Features -> logits_BKS of each scale, the refined ones, the guided loss."""
        grid = features[0].shape[2:]
        scales = [
            rise(down(x), grid) for down, x in zip(self.down, features, strict=True)
        ]
        fused = self.fuse(torch.cat(scales, 1))
        first = self.first([torch.cat([x, fused], 1) for x in scales])
        second = self.second(
            [
                torch.cat([x, seen * fused], 1)
                for x, seen in zip(scales, first.attended, strict=True)
            ]
        )

        def said(heads: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
            return [head(x) for head, x in zip(heads, maps, strict=True)]

        return (
            said(self.coarse, scales),
            said(self.refined, second.attended),
            guided_loss(first, second),
        )


class MSDualGuided(nn.Module):
    """Logits for every voxel: the mean of what the four refined scales say.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    blocks, stem, groups : tuple of int, int, int
        Of the ResNeXt: bottlenecks of its stages, channels of its stem, groups.
    width : int
        Channels of every scale.
    semantic : (int, int)
        Channels of the semantic modules at a half and at a quarter of the grid.
    pool : int
        Voxels an axis, on the grid of stride 4, of which the keys and values of the
        attention over positions are averages; 1 as published, 2 lays them on stride 8.
    norm : {"batch", "group"}
        "batch" as published.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        blocks: tuple[int, ...] = (3, 4, 23, 3),
        stem: int = 64,
        groups: int = 32,
        width: int = 64,
        semantic: tuple[int, int] = (256, 512),
        pool: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers = Layers(ndim, norm)
        self.encoder = ResNet(
            layers, in_channels, STRIDE, blocks=blocks, width=stem, groups=groups
        )
        self.head = DualGuidedHead(
            layers,
            self.encoder.stage_channels,
            width,
            classes,
            semantic=semantic,
            pool=pool,
        )

    def forward(self, x_BCS: Tensor) -> Tensor | Outputs:
        """x_BCS -> logits_BKS, for any S; to train, all eight maps and guided losses."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_lattice(x_BCS, STRIDE)
        coarse, refined, guided = self.head(self.encoder.features(x))

        def whole(logits: Tensor) -> Tensor:
            return crop_to(rise(logits, x.shape[2:]), x_BCS.shape[2:])

        mean = whole(torch.stack(refined).mean(0))
        if not self.training:
            return mean
        eight = tuple(Auxiliary(1.0, whole(logits)) for logits in coarse + refined)
        return Outputs(mean, eight, guided, weight=0.0)
