"""Critics of image and map at four scales, and turns of a whole epoch each.

Son, Park & Jung, "Retinal Vessel Segmentation in Fundoscopic Images with Generative
Adversarial Networks", 2017. https://arxiv.org/abs/1706.09318
Layers as in a copy of the authors' release, https://github.com/Ninebell/V-GAN

Shape letters: B batch, C channels, K classes, S spatial axes, R those of the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from src_models.adversaries.game import CRITIC, Game, known_of, one_hot
from src_models.blocks import CONV, POOL
from src_models.nets.vgan import normed
from src_models.outputs import answer
from src_models.training.taught import maker_of
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from src_models.adversaries.game import Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.nets.atrous import Norm
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

WIDTHS: dict[str, tuple[int, Norm]] = {"paper": (32, "batch"), "compact": (8, "group")}
# Of each level: its width in units of the first, the stride of its first convolution.
PATCH_1 = ((1, 2), (2, 1), (4, 1))
PATCH_2 = ((1, 2), (2, 2), (4, 1), (8, 1), (16, 1))


class PixelCritic(nn.Module):
    """An answer for each pixel, from 7 × 7 round it; nothing is normalised.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels : int
        Of image and map together.
    width : int
        Of the first convolution.
    """

    def __init__(self, *, ndim: int, in_channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c in (width, 2 * width, 4 * width):
            layers += [CONV[ndim](in_channels, c, 3, padding=1), nn.LeakyReLU(0.2)]
            in_channels = c
        self.layers = nn.Sequential(*layers, CONV[ndim](in_channels, 1, 1))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits (B, 1, *S)."""
        logits: Tensor = self.layers(x_BCS)
        return logits


class PatchCritic(nn.Module):
    """An answer for each of a grid of patches, or one for the image.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels : int
        Of image and map together.
    width : int
        Of the first level.
    levels : sequence of (int, int)
        `PATCH_1`: a grid of an eighth of the side; `PATCH_2`: of a 64th.
    norm : {"batch", "group"}
        After each convolution but the last; "batch" as released.
    whole : bool
        Whether the last map is averaged before the answer.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        width: int,
        levels: tuple[tuple[int, int], ...],
        norm: Norm = "batch",
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.whole, settle = whole, normed(ndim, norm)
        layers: list[nn.Module] = []
        for at, (times, stride) in enumerate(levels):
            c = width * times
            if at:  # of the smallest image a voxel is left
                layers.append(POOL[ndim](2, ceil_mode=True))
            for step in (stride, 1):
                conv = CONV[ndim](in_channels, c, 3, stride=step, padding=1)
                layers += [conv, settle(c), nn.ReLU(inplace=True)]
                in_channels = c
        self.layers = nn.Sequential(*layers)
        self.head = CONV[ndim](in_channels, 1, 1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits (B, 1, *R); R is 1 in each axis for the image's critic."""
        seen = self.layers(x_BCS)
        if self.whole:
            seen = seen.mean(tuple(range(2, seen.ndim)), keepdim=True)
        logits: Tensor = self.head(seen)
        return logits


def critic_of(kind: str, size: str, ndim: int, in_channels: int) -> nn.Module:
    """One of the four; `in_channels`: of image and map together."""
    width, norm = WIDTHS[size]
    if kind == "pixel":
        return PixelCritic(ndim=ndim, in_channels=in_channels, width=width)
    return PatchCritic(
        ndim=ndim,
        in_channels=in_channels,
        width=width,
        levels=PATCH_1 if kind == "patch-1" else PATCH_2,
        norm=norm,
        whole=kind == "image",
    )


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

    An epoch has two rounds of `train.steps` steps: the critic learns in the first, from
    a segmentor at rest, the segmentor and the baseline learn in the second.

    Raises
    ------
    InputError
        If no epoch is left for the critic, or as `learn`.
    """
    game = Game.of(recipe, cases, (accelerator, devices, nodes))
    spec, options, steps = recipe.net, game.options, recipe.train.steps
    maker = maker_of(recipe, cases.train)
    torch.manual_seed(recipe.train.seed + 1)
    channels = spec.in_channels + spec.classes - 1
    critic = critic_of(options.critic, options.size, spec.ndim, channels)

    def make(key: Key) -> Any:
        # The second round's patches are those of plain training; the first has others.
        turned = key.step - steps if key.step > steps else key.step + steps
        return tuple(maker.make(key._replace(step=turned)))

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        images, labels, _ = batch
        known, segmentor = known_of(labels), nets[FOR_USE]

        def pair(maps: Tensor) -> Tensor:
            return torch.cat([images, maps[:, 1:]], 1) * known

        if key.step <= steps:
            if game.referee.judges(CRITIC):
                segmentor.eval()
                with torch.no_grad():
                    p = answer(segmentor(images)).float().softmax(1)
                segmentor.train()
                real = pair(one_hot(labels, spec.classes))
                yield from game.teach(CRITIC, nets, real, pair(p))
            return
        yield game.baseline(nets, batch, key)
        said = segmentor(images)
        loss = game.supervised(said, batch, key)
        word = game.hear(CRITIC, nets, pair(answer(said).float().softmax(1)))
        yield Turn((FOR_USE,), loss + options.weight * word)

    return (yield from game.play(run, {CRITIC: critic}, turns, make=make, rounds=2))
