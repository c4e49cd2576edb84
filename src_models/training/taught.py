"""What the ways of training share: checks, the net for use, patches, its loss."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from src_models.catalog import create_net
from src_models.data.augment import augmentation
from src_models.data.cases import check_cases, check_structures, prepare
from src_models.data.loader import BatchMaker, Share
from src_models.data.patches import PatchSampler
from src_models.losses import loss_by_name
from src_models.outputs import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monai.transforms import Compose
    from torch import Tensor, nn

    from src_models.data.augment import OverFrames
    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.outputs import Outputs
    from src_models.synthesis.contrasts import Painter
    from src_models.training.config import Recipe
    from src_models.training.method_spec import MethodSpec


def method_of(recipe: Recipe) -> MethodSpec:
    """The recipe's method; only recipes with one come here."""
    if recipe.method is None:
        raise TypeError(f"{recipe.name} names no method")
    return recipe.method


def check_all(recipe: Recipe, cases: Split) -> None:
    """Refuse what cannot be learnt from or measured, before the work."""
    check_cases((*cases.train, *cases.validation), recipe.net)
    check_structures(cases.train)


def segmentor_of(recipe: Recipe) -> nn.Module:
    """The recipe's net, its weights by the recipe's seed."""
    loss_by_name(recipe.train.loss).check(recipe.net.classes)
    torch.manual_seed(recipe.train.seed)
    return create_net(recipe.net)


def ready(cases: Sequence[Case], recipe: Recipe) -> list[Case]:
    """The cases as the net sees them."""
    return [prepare(case, recipe.intensity, recipe.spacing) for case in cases]


def maker_of(
    recipe: Recipe,
    cases: Sequence[Case],
    augment: Compose | OverFrames | Painter | None = None,
    seed: int = 0,
    *,
    maps: Iterable[str] = (),
) -> BatchMaker:
    """Patches of the cases, as in plain training; `seed` sets one source apart.

    `maps`: what is made of the labels beside what the loss reads.
    """
    return maker_of_ready(recipe, ready(cases, recipe), augment, seed, maps=maps)


def maker_of_ready(
    recipe: Recipe,
    cases: Sequence[Case],
    augment: Compose | Painter | None = None,
    seed: int = 0,
    *,
    known: bool = False,
    maps: Iterable[str] = (),
) -> BatchMaker:
    """The same of cases that are as the net sees them already.

    `known`: whether every patch has a known voxel in its middle half.
    """
    patches = recipe.patches
    return BatchMaker(
        sampler=PatchSampler(
            cases,
            patches.size,
            patches.foreground,
            class_balance=patches.class_balance,
            known=known,
        ),
        augment=augment
        or augmentation(recipe.augment, recipe.net.ndim, frames=recipe.net.frames),
        share=Share(batch=patches.batch),
        seed=recipe.train.seed + seed,
        classes=recipe.net.classes,
        maps=loss_by_name(recipe.train.loss).maps | frozenset(maps),
    )


def judged(
    recipe: Recipe,
    said: Tensor | Outputs,
    labels_BS: Tensor,
    number: int,
    maps: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """The recipe's loss in an epoch (from 1)."""
    loss = loss_by_name(recipe.train.loss)
    return judge(
        partial(loss, epoch=number - 1),
        said,
        labels_BS,
        maps,
        supervision=recipe.train.deep_supervision,
    )
