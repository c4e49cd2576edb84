"""A critic that reads an image with a label map, and tells manual maps from made ones.

Luc, Couprie, Chintala & Verbeek, "Semantic Segmentation using Adversarial Networks", NIPS
workshop on adversarial training 2016. https://arxiv.org/abs/1611.08408

Shape letters: B batch, C channels of the image, K classes, S spatial axes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from src_models.adversaries.game import CRITIC, Game, known_of, one_hot
from src_models.blocks import CONV, POOL
from src_models.outputs import answer
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from src_models.adversaries.game import Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

WIDTHS = {"paper": (96, 128, 128, 256, 256, 512), "compact": (24, 32, 32, 64, 64, 128)}
POOLED = (2, 4)  # convolutions (from 0) after which the map is halved


class LargeFov(nn.Module):
    """Sees 34 pixels at once; one logit an image: > 0 says manual.

    Its last map has a channel for each of the two answers, averaged over the map; their
    difference is the logit.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels : int
    widths : tuple of int
        Of the six hidden 3 × 3 convolutions.
    """

    def __init__(self, *, ndim: int, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, (c_in, c_out) in enumerate(pairwise((in_channels, *widths))):
            layers += [CONV[ndim](c_in, c_out, 3, padding=1), nn.ReLU(inplace=True)]
            if at in POOLED:
                layers.append(POOL[ndim](2, ceil_mode=True))
        self.layers = nn.Sequential(*layers, CONV[ndim](widths[-1], 2, 3, padding=1))

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits (B,), for any S."""
        made_B, manual_B = self.layers(x_BCS).flatten(2).mean(2).unbind(1)
        logit_B: Tensor = manual_B - made_B
        return logit_B


def basic(image_BCS: Tensor, map_BKS: Tensor) -> Tensor:
    """(B, C + K, *S): the one on top of the other."""
    return torch.cat([image_BCS, map_BKS], 1)


def product(image_BCS: Tensor, map_BKS: Tensor) -> Tensor:
    """(B, K·C, *S): each class map times each channel, class by class."""
    return (map_BKS[:, :, None] * image_BCS[:, None]).flatten(1, 2)


READS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "basic": basic,
    "product": product,
    "scaling": basic,
}


def channels_of(kind: str, channels: int, classes: int) -> int:
    """Of what a critic of that kind reads."""
    return classes * channels if kind == "product" else classes + channels


def softened(labels_BS: Tensor, p_BKS: Tensor, tau: float) -> Tensor:
    """Manual labels as a distribution (B, K, *S) that is no sharper than a made one.

    The true class has max(tau, p); the others share what is left as they do in p, and
    evenly where p gives them nothing. 0 in every class where labels are unknown.
    """
    truth = one_hot(labels_BS, p_BKS.shape[1])
    mass = (truth * p_BKS).sum(1, keepdim=True).clamp(min=tau)
    others = (1 - truth) * p_BKS
    total = others.sum(1, keepdim=True)
    even = (1 - truth) / (p_BKS.shape[1] - 1)
    shares = torch.where(total > 0, others / total.where(total > 0, 1), even)
    return (truth * mass + shares * (1 - mass)) * known_of(labels_BS)


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
        If no epoch is left for the critic, or as `learn`.
    """
    game = Game.of(recipe, cases, (accelerator, devices, nodes))
    spec, kind = recipe.net, game.options.input
    torch.manual_seed(recipe.train.seed + 1)
    critic = LargeFov(
        ndim=spec.ndim,
        in_channels=channels_of(kind, spec.in_channels, spec.classes),
        widths=WIDTHS[game.options.size],
    )

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        images, labels, _ = batch
        yield game.baseline(nets, batch, key)
        said = nets[FOR_USE](images)
        known = known_of(labels)
        p = answer(said).float().softmax(1) * known
        truth = one_hot(labels, spec.classes)
        if kind == "scaling":
            truth = softened(labels, p.detach(), game.options.tau)
        real, made = (READS[kind](images * known, maps) for maps in (truth, p))
        yield from game.teach(CRITIC, nets, real, made)
        loss = game.supervised(said, batch, key)
        word = game.hear(CRITIC, nets, made)
        yield Turn((FOR_USE,), loss + game.options.weight * word)

    return (yield from game.play(run, {CRITIC: critic}, turns))
