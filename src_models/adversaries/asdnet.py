"""A confidence network says which voxels of an answer look manual; those teach.

Nie, Gao, Wang & Shen, "ASDNet: Attention Based Semi-supervised Deep Networks for Medical
Image Segmentation", MICCAI 2018. https://doi.org/10.1007/978-3-030-00937-3_43
Weights and rates as in the authors' release, https://github.com/ginobilinie/asdnet
The network, and what follows from its map, are in `src_models.nets.confidence`.

Shape letters: B batch, C channels, K classes, S spatial axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from src_models.adversaries.game import CRITIC, Game, known_of, one_hot
from src_models.data.cases import check_structures
from src_models.data.splits import shared_out
from src_models.losses import IGNORE
from src_models.losses.overlap import dice_loss
from src_models.losses.pixel import cross_entropy
from src_models.nets.confidence import (
    ConfidenceNet,
    adaptive_threshold,
    region_attention,
    sample_attention,
)
from src_models.outputs import answer, of_images
from src_models.training.taught import judged, maker_of
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.adversaries.game import Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.nets.atrous import Norm
    from src_models.outputs import Outputs
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

WIDTHS: dict[str, tuple[tuple[int, ...], Norm]] = {
    "paper": ((32, 64, 128, 256), "batch"),
    "compact": ((8, 16, 32, 64), "group"),
}
BELIEVED = "believed"  # column: share of the unlabelled voxels that teach


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

    First the segmentor learns alone, then with the confidence network, from the labelled
    cases; at last from what that network believes of its answers for the unlabelled. The
    baseline learns from the labelled cases by the recipe's loss.

    Raises
    ------
    InputError
        If no epoch is left for the critic, or as `learn`.
    """
    game = Game.of(recipe, cases, (accelerator, devices, nodes), also=(BELIEVED,))
    options, spec = game.options, recipe.net
    labelled, bare = shared_out(cases.train, options.labelled)
    check_structures(labelled)
    later = max(game.referee.alone, round(options.later * recipe.train.epochs))
    makers = maker_of(recipe, labelled), maker_of(recipe, bare, seed=1)
    widths, norm = WIDTHS[options.size]
    torch.manual_seed(recipe.train.seed + 1)
    critic = ConfidenceNet(
        ndim=spec.ndim, classes=spec.classes, widths=widths, norm=norm
    )

    def make(key: Key) -> Any:
        images = makers[1].make(key).images if bare and key.epoch > later else None
        return tuple(makers[0].make(key)), images

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        plain, unlabelled = batch
        yield game.baseline(nets, plain, key)
        images, labels, _ = plain
        said = nets[FOR_USE](images)
        made = answer(said).float().softmax(1) * known_of(labels)
        yield from game.teach(CRITIC, nets, one_hot(labels, spec.classes), made)
        loss = attended(game, said, plain, key)
        loss = loss + options.weight * game.hear(CRITIC, nets, made)
        if unlabelled is not None and game.referee.judges(CRITIC):
            loss = loss + options.semi * believed_labels(game, nets, unlabelled)
        yield Turn((FOR_USE,), loss)

    return (yield from game.play(run, {CRITIC: critic}, turns, make=make))


def attended(game: Game, said: Tensor | Outputs, batch: Any, key: Key) -> Tensor:
    """The recipe's loss of each image, weighed by (1 − its Dice)^beta; their mean.

    With `beta` 0 it is the recipe's loss of the batch.
    """
    images, labels, maps = batch
    if not game.options.beta:
        return game.supervised(said, batch, key)
    terms = []
    for b in range(len(images)):
        at = slice(b, b + 1)
        own = {name: one[at] for name, one in maps.items()}
        one, truth = of_images(said, at), labels[at]
        dice = 1 - dice_loss(answer(one), truth)
        loss = judged(game.recipe, one, truth, key.epoch, own)
        terms.append(sample_attention(dice, game.options.beta) * loss)
    return torch.stack(terms).mean()


def believed_labels(game: Game, nets: Nets, images_BCS: Tensor) -> Tensor:
    """Cross entropy with the segmentor's own answer where the critic believes it.

    Summed over the believed voxels and divided by all. Neither the critic nor the answer
    that stands for labels learns from it.
    """
    logits = answer(nets[FOR_USE](images_BCS)).float()
    with torch.no_grad():
        confidence = nets[CRITIC](logits.softmax(1))
    threshold = game.options.threshold
    if threshold == "adaptive":
        history = game.referee.history
        threshold = adaptive_threshold(history[-1]["dice"] if history else 0.0)
    labels = region_attention(logits, confidence, threshold)
    share = (labels != IGNORE).float().mean()
    game.referee.note(BELIEVED, float(share))
    return share * cross_entropy(logits, labels)
