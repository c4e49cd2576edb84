"""Two critics of a volume: one sees its slices, one its shadows.

Khosravan, Mortazi, Wallace & Bagci, "PAN: Projective Adversarial Network for Medical Image
Segmentation", MICCAI 2019. https://arxiv.org/abs/1906.04378
No code is public and its layers are not known: the critics here are of the usual form.

Shape letters: B batch, C channels, K classes, N slices of all volumes, P the axes of a
picture (two of Z Y X), F features of the segmentor's deepest level.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.adversaries.game import Game, known_of, one_hot
from src_models.errors import InputError
from src_models.nets.slices import SliceUNet, looking_at
from src_models.outputs import answer
from src_models.training.memory import empty_net
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from src_models.adversaries.game import Nets
    from src_models.adversaries.options import Projective
    from src_models.card import NetSpec
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

SLICES, SHADOWS = "slices", "projections"  # the critics' names and columns
WIDTHS = {"paper": (64, 128, 256, 512, 512), "compact": (8, 16, 32, 64, 64)}
JOIN = 3  # convolutions before the attended features are joined
SIDE = 32  # pictures are extended with 0 to multiples of it
AXES = {"z": 2, "y": 3, "x": 4}  # of (B, K, Z, Y, X)
FULL = 1 - 1e-6  # largest probability in the soft maximum, whose logarithm is taken


class Attention(nn.Module):
    """One vector of a feature map: where to look is learnt, and sums to 1."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.where = nn.Conv2d(features, 1, 1)

    def forward(self, seen_NFP: Tensor) -> Tensor:
        """seen_NFP -> (N, F): the mean over the picture, weighed by a softmax over it."""
        weights_N1 = self.where(seen_NFP).flatten(2).softmax(2)
        attended_NF: Tensor = (seen_NFP.flatten(2) * weights_N1).sum(2)
        return attended_NF


class AttendedCritic(nn.Module):
    """One logit for a picture, and for what the segmentor saw of it.

    Five strided convolutions; before the fourth each place is joined by the attended
    features, the same everywhere (tile and concatenate).

    Parameters
    ----------
    in_channels : int
        Of the picture.
    features : int
        F of the segmentor's deepest level.
    widths : tuple of int
        Of the five convolutions.
    """

    def __init__(
        self, *, in_channels: int, features: int, widths: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.attention = Attention(features)
        self.convs = nn.ModuleList()
        for at, (c_in, c_out) in enumerate(pairwise((in_channels, *widths))):
            joined = features if at == JOIN else 0
            conv = nn.Conv2d(c_in + joined, c_out, 4, stride=2, padding=1)
            self.convs.append(nn.Sequential(conv, nn.LeakyReLU(0.2)))
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, x_NCP: Tensor, seen_MFP: Tensor) -> Tensor:
        """x_NCP, seen_MFP -> logits (N,), for any P.

        M is a multiple of N: where a picture is of several slices, in their order, what
        was seen in them is averaged.
        """
        pad = [n for side in reversed(x_NCP.shape[2:]) for n in (0, -side % SIDE)]
        x = F.pad(x_NCP, pad)
        attended_MF = self.attention(seen_MFP)
        attended_NF = attended_MF.view(len(x), -1, attended_MF.shape[1]).mean(1)
        for at, conv in enumerate(self.convs):
            if at == JOIN:
                tiled = attended_NF[:, :, None, None].expand(-1, -1, *x.shape[2:])
                x = torch.cat([x, tiled], 1)
            x = conv(x)
        logits_N: Tensor = self.head(x.mean((2, 3)))[:, 0]
        return logits_N


class ShadowCritic(nn.Module):
    """Of a volume's maps, projected along each axis; a critic and a logit for each.

    Parameters
    ----------
    axes : sequence of {"z", "y", "x"}
    how : {"mean", "soft maximum"}
        As of `projected`.
    """

    def __init__(self, axes: Sequence[str], how: str, **options: Any) -> None:
        super().__init__()
        self.how = how
        self.critics = nn.ModuleDict({axis: AttendedCritic(**options) for axis in axes})

    def forward(self, maps_BKS: Tensor, seen_NFP: Tensor) -> Tensor:
        """maps_BKS, seen_NFP of all slices -> logits (B, axes)."""
        logits = [
            critic(projected(maps_BKS, axis, self.how), seen_NFP)
            for axis, critic in self.critics.items()
        ]
        return torch.stack(logits, 1)


def projected(maps_BKS: Tensor, axis: str, how: str) -> Tensor:
    """Maps (B, K, Z, Y, X) -> pictures (B, K, P): what is left of them along an axis.

    Parameters
    ----------
    maps_BKS : Tensor
        Probabilities in [0, 1]; slices of one distance, so that a mean over them is one
        over mm.
    how : {"mean", "soft maximum"}
        The share of the way that lies in the structure; or 1 − Π(1 − p), the chance that
        any voxel on it does, which reaches every voxel with a slope, as a hard maximum
        does not. Both are 0 for an empty volume and in [0, 1].
    """
    if how == "mean":
        return maps_BKS.mean(AXES[axis])
    clear = torch.log1p(-maps_BKS.clamp(max=FULL)).sum(AXES[axis])
    return -torch.expm1(clear)


def critics_of(
    spec: NetSpec, options: Projective, features: int
) -> dict[str, nn.Module]:
    """Of slices with their image, and of projections; `features` of the segmentor."""
    found, widths = spec.classes - 1, WIDTHS[options.size]
    return {
        SLICES: AttendedCritic(
            in_channels=spec.in_channels + found, features=features, widths=widths
        ),
        SHADOWS: ShadowCritic(
            options.axes,
            options.projection,
            in_channels=found,
            features=features,
            widths=widths,
        ),
    }


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """As `src_models.training.fit.fit`, on one device; a baseline is trained beside.

    Raises
    ------
    InputError
        If the net is another than slice-unet, no epoch is left for the critics, or as
        `learn`.
    """
    spec, wanted = recipe.net, (accelerator, devices, nodes)
    segmentor = empty_net(spec)
    if not isinstance(segmentor, SliceUNet):
        raise InputError(
            f"{recipe.name}: the critics read what a net of slices has seen in each; set "
            f'net.system = "slice-unet", got {spec.system!r}'
        )
    game = Game.of(recipe, cases, wanted, (SLICES, SHADOWS))
    options = game.options
    torch.manual_seed(recipe.train.seed + 1)
    critics = critics_of(spec, options, segmentor.features)

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        images, labels, _ = batch
        yield game.baseline(nets, batch, key)
        with looking_at(nets[FOR_USE]) as groups:
            said = nets[FOR_USE](images)
        seen, known = torch.cat(groups), known_of(labels)
        p = answer(said).float().softmax(1)[:, 1:] * known
        truth = one_hot(labels, spec.classes)[:, 1:]
        real, made = (
            torch.cat([images * known, maps], 1).movedim(2, 1).flatten(0, 1)
            for maps in (truth, p)
        )
        yield from game.teach(SLICES, nets, real, made, seen)
        yield from game.teach(SHADOWS, nets, truth, p, seen)
        loss = game.supervised(said, batch, key)
        loss = loss + options.weight * game.hear(SLICES, nets, made, seen)
        loss = loss + options.projected * game.hear(SHADOWS, nets, p, seen)
        yield Turn((FOR_USE,), loss)

    return (yield from game.play(run, critics, turns))
