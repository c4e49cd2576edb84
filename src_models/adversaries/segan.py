"""A critic that finds what sets two masked images apart, on all its levels.

Xue, Xu, Zhang, Long & Huang, "SegAN: Adversarial Network with Multi-scale L1 Loss for
Medical Image Segmentation", Neuroinformatics 16, 2018. https://arxiv.org/abs/1706.01805
Layers as in the authors' release, https://github.com/YuanXue1993/SegAN

Shape letters: B batch, C channels, K classes, S spatial axes.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.adversaries.game import CRITIC, Game, known_of, one_hot
from src_models.blocks import CONV
from src_models.nets.atrous import Layers
from src_models.outputs import answer
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from src_models.adversaries.game import Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.nets.atrous import Norm
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

WIDTHS: dict[str, tuple[int, Norm]] = {"paper": (64, "batch"), "compact": (16, "group")}
# Of each level: channels in units of the width, the strided kernel and its margin.
LEVELS = ((1, 7, 3), (2, 5, 2), (4, 4, 1), (8, 4, 1), (8, 4, 1), (8, 3, 1))
# What the release multiplies the input and each level's features by.
TIMES = (1, 1, 2, 2, 2, 2, 4)
SIDE = (
    32  # images are extended with 0 to multiples of it, so that each level has voxels
)
SILENT = 1e-8  # distance below which the critic's levels see no difference


class MultiScaleCritic(nn.Module):
    """The masked image itself, and its features on six levels; no verdict.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels : int
        C of the image.
    width : int
        Channels of the first level.
    norm : {"batch", "group"}
        After each convolution but the first; "batch" as released.
    """

    def __init__(
        self, *, ndim: int, in_channels: int, width: int = 64, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        normed = Layers(ndim, norm).normed
        widths = (in_channels, *(width * times for times, _, _ in LEVELS))
        self.levels = nn.ModuleList()
        for at, (c_in, c_out) in enumerate(pairwise(widths)):
            _, side, margin = LEVELS[at]
            conv = CONV[ndim](c_in, c_out, side, stride=2, padding=margin, bias=False)
            settle = [normed(c_out)] if at else []
            self.levels.append(nn.Sequential(conv, *settle, nn.LeakyReLU(0.2)))

    def forward(self, x_BCS: Tensor) -> list[Tensor]:
        """x_BCS -> seven maps (B, ·, ·), for any S; the first is x itself."""
        pad = [n for side in reversed(x_BCS.shape[2:]) for n in (0, -side % SIDE)]
        x, seen = F.pad(x_BCS, pad), [x_BCS]
        for level in self.levels:
            x = level(x)
            seen.append(x)
        return seen


def apart(
    seen: Sequence[Tensor], other: Sequence[Tensor], average: str = "layers"
) -> Tensor:
    """Multi-scale L1 distance of two images' features; ≥ 0, 0 where all are the same.

    Parameters
    ----------
    seen, other : sequences of Tensor
        Of each level, finest first.
    average : {"layers", "features"}
        The mean over the levels of each one's mean (the paper, eq. 2); or the mean over
        all numbers, each multiplied by its level's `TIMES` (the release): there the
        finest maps, which are the largest, outweigh the others.
    """
    gaps = [(a - b).abs() for a, b in zip(seen, other, strict=True)]
    if average == "layers":
        return torch.stack([gap.mean() for gap in gaps]).mean()
    sums = [times * gap.sum() for times, gap in zip(TIMES, gaps, strict=True)]
    return torch.stack(sums).sum() / sum(gap.numel() for gap in gaps)


@torch.no_grad()
def clamp(net: nn.Module, limit: float) -> None:
    """Every parameter into [−limit, limit]: what keeps the distance finite."""
    for weights in net.parameters():
        weights.clamp_(-limit, limit)


def silence(distances: Sequence[float], patience: int) -> str:
    """The symptom of a critic whose levels see no difference; "" if there is none."""
    last = distances[-patience:]
    dead = len(last) == patience and all(one < SILENT for one in last)
    return "no signal" if dead else ""


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

    One critic for each structure (S1-1C where there is one). Its column in the history
    is the distance that its own levels see.

    Raises
    ------
    InputError
        If no epoch is left for the critics, or as `learn`.
    """
    spec = recipe.net
    values = range(1, spec.classes)
    names = [CRITIC if len(values) == 1 else f"{CRITIC}-{value}" for value in values]
    game = Game.of(recipe, cases, (accelerator, devices, nodes), tuple(names), silence)
    options = game.options
    width, norm = WIDTHS[options.size]
    torch.manual_seed(recipe.train.seed + 1)
    critics: dict[str, nn.Module] = {
        name: MultiScaleCritic(
            ndim=spec.ndim, in_channels=spec.in_channels, width=width, norm=norm
        )
        for name in names
    }

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        images, labels, _ = batch
        yield game.baseline(nets, batch, key)
        said = nets[FOR_USE](images)
        seen = images * known_of(labels)
        p, truth = answer(said).float().softmax(1), one_hot(labels, spec.classes)
        words = []
        for value, name in zip(values, names, strict=True):
            real, made = (seen * maps[:, value : value + 1] for maps in (truth, p))
            yield from teach(game, name, nets, real, made)
            words.append(hear(game, name, nets, real, made))
        word = torch.stack(words).mean()
        loss = options.supervised * game.supervised(said, batch, key)
        yield Turn((FOR_USE,), loss + options.weight * word)

    return (yield from game.play(run, critics, turns))


def teach(
    game: Game, name: str, nets: Nets, real: Tensor, made: Tensor
) -> Iterator[Turn]:
    """A critic's turn, if it is one to judge: to see the two further apart; clamped."""
    if not game.referee.judges(name):
        return
    seen, other = nets[name](real.detach()), nets[name](made.detach())
    gap = apart(seen[1:], other[1:]).detach()
    game.referee.saw(name, float(gap) if gap.isfinite() else math.nan)
    if game.referee.judges(name):
        yield Turn((name,), -apart(seen, other, game.options.average))
        clamp(nets[name], game.options.limit)


def hear(game: Game, name: str, nets: Nets, real: Tensor, made: Tensor) -> Tensor:
    """How far apart the critic sees the two; 0 while it is not to judge."""
    if game.referee.judges(name):
        with torch.no_grad():
            wanted = nets[name](real.detach())
        word = apart(nets[name](made), wanted, game.options.average)
        if word.isfinite():
            return word
        game.referee.saw(name, math.nan)
    return torch.zeros((), device=made.device)
