"""Labels of one modality for a net that reads another, learnt with the translation.

Huo et al., "SynSeg-Net: Synthetic Segmentation Without Target Modality Ground Truth", IEEE
TMI 38(4), 2019, section III. https://arxiv.org/abs/1810.06498
Weights and rates as in the authors' release, https://github.com/MASILab/SynSeg-Net
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src_models.data.splits import blind
from src_models.synthesis.translation import (
    TRANSLATORS,
    begin,
    exchanged,
    teach,
    translating,
    translators_and_critics,
)
from src_models.synthesis.translators import residual_translator
from src_models.training.taught import maker_of
from src_models.training.turns import FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from torch import nn

    from src_models.adversaries.game import Game, Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch


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

    The net learns from the source's images in the target's look, with the source's labels;
    the target's training labels are never read. The baseline learns from the source's
    images as they are.

    Raises
    ------
    InputError
        As `begin` and `learn`.
    """
    game, parts = begin(recipe, cases, (accelerator, devices, nodes))
    labelled = maker_of(recipe, parts.source)
    wanted = maker_of(recipe, [blind(case) for case in parts.target], seed=1)
    nets = translators_and_critics(recipe, game.options.size, residual_translator)

    def make(key: Key) -> Any:
        return tuple(labelled.make(key)), wanted.make(key).images

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        yield game.baseline(nets, batch[0], key)
        yield from together(game, nets, batch, key)

    return (yield from game.play(run, nets, turns, make=make))


def together(game: Game, nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
    """Translators and segmentor in one turn, or one after the other; then the critics."""
    plain, target = batch
    both = exchanged(nets, plain[0], target)
    loss = translating(game, nets, both)
    if game.options.learn == "end to end":
        said = nets[FOR_USE](both.as_target)
        loss = loss + game.options.segment * game.supervised(said, plain, key)
        yield Turn((*TRANSLATORS, FOR_USE), loss)
    else:
        yield Turn(TRANSLATORS, loss)
        said = nets[FOR_USE](both.as_target.detach())
        yield Turn((FOR_USE,), game.supervised(said, plain, key))
    yield from teach(game, nets, both)
