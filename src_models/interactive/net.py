"""The click net: a small residual U-Net whose deepest level attends to all of itself.

The same net serves pictures (`ndim` 2) and volumes (3).

Prompts enter with the image at the first layer ("early fusion"), as in Sofiiuk, Petrov
& Konushin, "Reviving Iterative Training with Mask Guidance for Interactive
Segmentation", ICIP 2022, https://arxiv.org/abs/2102.06583. Normalisation by groups: Wu &
He, ECCV 2018. First and last layer fold 2×2 pixels, or 2×2×2 voxels, into channels (Shi et
al., CVPR 2016), which keeps single pixels at a quarter of the cost.

Shape letters: B batch, C channels, S the spatial axes, T tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import check_input, crop_to, to_multiple

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = 8
OF_VIEW = 3  # facts of a view that are not the net's own: see `choice`


CONVOLUTION: dict[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}


def folded(x_BCS: Tensor) -> Tensor:
    """Halve each spatial axis, 2^ndim neighbours becoming channels: C → C · 2^ndim."""
    batch, channels, *sides = x_BCS.shape
    halves = [n for side in sides for n in (side // 2, 2)]
    axes = range(2, 2 + 2 * len(sides))
    y = x_BCS.reshape(batch, channels, *halves)
    y = y.permute(0, 1, *axes[1::2], *axes[::2])
    return y.reshape(batch, -1, *(side // 2 for side in sides))


def unfolded(x_BCS: Tensor) -> Tensor:
    """Undo `folded`."""
    batch, channels, *sides = x_BCS.shape
    ndim = len(sides)
    y = x_BCS.reshape(batch, channels // 2**ndim, *[2] * ndim, *sides)
    y = y.permute(0, 1, *(2 + n for i in range(ndim) for n in (ndim + i, i)))
    return y.reshape(batch, -1, *(2 * side for side in sides))


class Fold(nn.Module):
    """`folded` as a layer."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        return folded(x_BCS)


class Residual(nn.Module):
    """Two convolutions beside a shortcut. He et al., CVPR 2016."""

    def __init__(self, ndim: int, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        self.first = conv(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, c_out)
        self.second = conv(c_out, c_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, c_out)
        self.shortcut: nn.Module = nn.Identity()
        if c_in != c_out or stride > 1:
            self.shortcut = conv(c_in, c_out, 1, stride, bias=False)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        y = F.relu(self.norm1(self.first(x_BCS)))
        return F.relu(self.norm2(self.second(y)) + self.shortcut(x_BCS))


class Attention(nn.Module):
    """Each place asks every other: a transformer's layer. Vaswani et al., NeurIPS 2017."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mix = nn.Sequential(
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS, same shape."""
        batch, channels = x_BCS.shape[:2]
        x_BTC = x_BCS.flatten(2).transpose(1, 2)
        each = self.query_key_value(self.norm1(x_BTC))
        each = each.view(batch, -1, 3, self.heads, channels // self.heads)
        query, key, value = each.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x_BTC = x_BTC + self.out(seen.transpose(1, 2).flatten(2))
        x_BTC = x_BTC + self.mix(self.norm2(x_BTC))
        out_BCS: Tensor = x_BTC.transpose(1, 2).reshape(x_BCS.shape)
        return out_BCS


class Judge(nn.Module):
    """Which IoU with the whole structure an answer reaches, as the net itself sees it.

    It learns when the net has learnt, and changes nothing in it. The idea: Kirillov et
    al., "Segment Anything", ICCV 2023. Answers like those it learnt from are judged by
    them, by radial basis functions (Broomhead & Lowe, Complex Systems 2, 1988); what is
    like none of them by a straight line, which promises less wrongly than layers that
    go on as steeply as they rose. It reads nothing of the net's deeper levels: they tell
    which set a picture is of, and mislead on pictures of no set that was learnt.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, top: int, bumps: int = 512) -> None:
        super().__init__()
        count = top + 3 + OF_VIEW
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("std", torch.ones(count))
        self.line = nn.Linear(count, 1)
        self.centres = nn.Parameter(torch.zeros(bumps, count))
        self.log_widths = nn.Parameter(torch.zeros(bumps))
        self.heights = nn.Linear(bumps, 1)

    def forward(self, facts_BF: Tensor) -> Tensor:
        """Logits of the IoU, (B), of `facts` and `OF_VIEW` more."""
        x_BF = self.standard(facts_BF)
        away = torch.cdist(x_BF, self.centres).square() / x_BF.shape[1]
        near = torch.exp(-away / (2 * torch.exp(2 * self.log_widths)))
        found: Tensor = self.line(x_BF) + self.heights(near)
        return found[:, 0]

    def standard(self, facts_BF: Tensor) -> Tensor:
        """Facts with the mean 0 and the deviation 1 of those it learnt from."""
        return (facts_BF.float() - self.mean) / self.std

    @staticmethod
    def facts(features_BCS: Tensor, logits_BS: Tensor) -> Tensor:
        """What the net knows that is judged by: (B, F).

        Its last features inside the answer, and how sure, how much cut off and how large
        the answer is.
        """
        p_BS = logits_BS.float().sigmoid()
        inside_BS = p_BS * (p_BS > 0.5)
        count_B = (p_BS > 0.5).flatten(1).sum(1)
        beyond_B = (p_BS - inside_BS).flatten(1).sum(1)
        sure_B = inside_BS.flatten(1).sum(1) / (count_B + beyond_B + 1)
        rims = [
            inside_BS.select(axis, end).flatten(1).mean(1)
            for axis in range(1, inside_BS.ndim)
            for end in (0, -1)
        ]
        three = [sure_B, torch.stack(rims).sum(0), torch.log1p(count_B)]
        held_BC = _inside(features_BCS, inside_BS)
        return torch.cat([held_BC, torch.stack(three, 1)], 1)


def _inside(features_BCS: Tensor, inside_BS: Tensor) -> Tensor:
    """Mean of features, (B, C), weighed by an answer on a finer grid."""
    share_BS = F.interpolate(inside_BS[:, None], features_BCS.shape[2:], mode="area")
    held_BC = (features_BCS.float() * share_BS).flatten(2).sum(2)
    return held_BC / (share_BS.flatten(1).sum(1, keepdim=True) + 1e-3)


class ClickNet(nn.Module):
    """One logit a pixel: whether it is of the structure that was clicked.

    Parameters
    ----------
    in_channels : int
        Channels of `src_models.interactive.prompt_maps.stack`, or of `volume_maps.stack`.
    ndim : int
        2 or 3.
    widths : sequence of int
        Channels of each level, at half the input's resolution first.
    depth : sequence of int
        Residual blocks of each level of the contracting path.
    attention : int
        Layers of attention at the deepest level.
    judge : bool
        Whether the net says how good its answers are.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        ndim: int = 2,
        widths: Sequence[int] = (32, 64, 128, 192),
        depth: Sequence[int] = (1, 2, 2, 2),
        attention: int = 2,
        judge: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.ndim = in_channels, ndim
        conv, folds = CONVOLUTION[ndim], 2**ndim
        self.stride: int = 2 ** len(widths)
        top = widths[0]
        self.stem = nn.Sequential(
            Fold(),
            conv(folds * in_channels, top, 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, top),
            nn.ReLU(),
        )
        self.down = nn.ModuleList()
        above = top
        for level, (width, blocks) in enumerate(zip(widths, depth, strict=True)):
            first = Residual(ndim, above, width, stride=2 if level else 1)
            rest = (Residual(ndim, width, width) for _ in range(blocks - 1))
            self.down.append(nn.Sequential(first, *rest))
            above = width
        self.attend = nn.Sequential(*(Attention(above) for _ in range(attention)))
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.narrow.append(conv(above, width, 1, bias=False))
            self.up.append(Residual(ndim, 2 * width, width))
            above = width
        self.head = conv(top, folds, 3, padding=1)
        self.judge = Judge(top) if judge else None

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BS, for sides of any length."""
        return self._logits(self._features(x_BCS), x_BCS)

    def answer(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> logits_BS, and what a judge reads of each answer, (B, F)."""
        features = self._features(x_BCS)
        logits_BS = self._logits(features, x_BCS)
        return logits_BS, Judge.facts(features, logits_BS)

    def _logits(self, features: Tensor, x_BCS: Tensor) -> Tensor:
        return crop_to(unfolded(self.head(features)), x_BCS.shape[2:])[:, 0]

    def _features(self, x_BCS: Tensor) -> Tensor:
        """What the last layer reads, at half the resolution."""
        check_input(x_BCS, self.ndim, self.in_channels)
        y: Tensor = self.stem(to_multiple(x_BCS, self.stride))
        skips = []
        for down in self.down:
            y = down(y)
            skips.append(y)
        y = self.attend(skips.pop())
        for narrow, up in zip(self.narrow, self.up, strict=True):
            y = F.interpolate(narrow(y), scale_factor=2.0, mode="nearest")
            y = up(torch.cat([skips.pop(), y], dim=1))
        return y
