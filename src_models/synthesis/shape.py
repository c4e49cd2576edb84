"""Volumes turned into another modality, with segmentors that see to their anatomy.

Zhang, Yang & Zheng, "Translating and Segmenting Multimodal Medical Volumes with Cycle- and
Shape-Consistency Generative Adversarial Network", CVPR 2018, sections 3 and 4.
https://arxiv.org/abs/1802.09655
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from src_models.adversaries.game import epochs_of
from src_models.data.cases import check_structures
from src_models.data.splits import shared_out
from src_models.losses.pixel import cross_entropy
from src_models.outputs import answer
from src_models.synthesis.translation import (
    CYCLE,
    TRANSLATORS,
    begin,
    exchanged,
    teach,
    translating,
    translators_and_critics,
)
from src_models.synthesis.translators import skipping_translator
from src_models.training.taught import maker_of, segmentor_of
from src_models.training.turns import FOR_USE, SYNTHETIC, Turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.adversaries.game import Game, Nets
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.synthesis.translation import Exchange
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

SOURCE_SEGMENTOR = "source_segmentor"
SHAPE = "shape"  # column: cross entropy of what the segmentors see in translations


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """As `src_models.training.fit.fit`, on one device; two baselines are trained beside.

    The net for use is the target's segmentor, which learns from the target's labelled
    images and from the source's in its look. Beside it one learns from the former alone,
    one from the latter alone.

    Raises
    ------
    InputError
        If no labelled image of the target holds a structure, no epoch is left for the
        nets to teach each other, or as `begin` and `learn`.
    """
    columns = CYCLE, SHAPE
    game, parts = begin(recipe, cases, (accelerator, devices, nodes), columns)
    labelled, bare = shared_out(parts.target, game.options.labelled)
    check_structures(labelled)
    share, later = game.options.apart, "the nets to teach each other"
    apart = epochs_of(recipe, "apart", share, later)
    source = maker_of(recipe, parts.source)
    target = maker_of(recipe, labelled, seed=1)
    looks = maker_of(recipe, [*labelled, *bare], seed=2)
    nets = translators_and_critics(recipe, game.options.size, skipping_translator)
    nets[SOURCE_SEGMENTOR] = segmentor_of(recipe)
    nets[SYNTHETIC] = deepcopy(nets[SOURCE_SEGMENTOR])

    def make(key: Key) -> Any:
        return tuple(tuple(maker.make(key)) for maker in (source, target, looks))

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        yield game.baseline(nets, batch[1], key)
        yield from alternated(game, nets, batch, key, joined=key.epoch > apart)

    peers = frozenset({SOURCE_SEGMENTOR})
    return (yield from game.play(run, nets, turns, make=make, peers=peers))


def alternated(
    game: Game, nets: Nets, batch: Any, key: Key, *, joined: bool
) -> Iterator[Turn]:
    """Translators, critics, segmentors, each while the others stand still.

    `batch`: labelled images of the source, of the target, and any of the target. Before
    they are `joined` the segmentors learn from real images alone and say nothing to the
    translators.
    """
    source, target, looks = batch
    both = exchanged(nets, source[0], looks[0])
    loss = translating(game, nets, both)
    if joined:
        kept = shape_kept(nets, both, source[1], looks[1])
        game.referee.note(SHAPE, float(kept.detach()))
        loss = loss + game.options.shape * kept
    yield Turn(TRANSLATORS, loss)
    yield from teach(game, nets, both)
    as_target, as_source = both.as_target.detach(), both.as_source.detach()
    made = as_target, *source[1:]
    said = nets[SYNTHETIC](as_target)
    yield Turn((SYNTHETIC,), game.supervised(said, made, key))
    share = game.options.synthetic if joined else 0.0
    for name, real, translated in (
        (FOR_USE, target, made),
        (SOURCE_SEGMENTOR, source, (as_source, *looks[1:])),
    ):
        loss = game.supervised(nets[name](real[0]), real, key)
        if share:
            said = nets[name](translated[0])
            loss = loss + share * game.supervised(said, translated, key)
        yield Turn((name,), loss)


def shape_kept(
    nets: Nets, both: Exchange, source_BS: Tensor, target_BS: Tensor
) -> Tensor:
    """Cross entropy of both translations' segmentations with the labels they came with.

    Voxels of label −1 count nowhere.
    """
    there = cross_entropy(answer(nets[FOR_USE](both.as_target)), source_BS)
    back = cross_entropy(answer(nets[SOURCE_SEGMENTOR](both.as_source)), target_BS)
    return there + back
