"""What the methods of two modalities share: whose images are which, and what is learnt.

The source's cases have labels. A patient belongs to one modality alone, so that no image
has its counterpart among the others. Validation and locked cases are the target's.

Shape letters: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

import math
import re
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from src_models.adversaries.collapse import Referee, right_answers
from src_models.adversaries.game import Game
from src_models.data.cases import check_structures
from src_models.errors import InputError
from src_models.synthesis.translators import believed, lost, patch_critic, told_apart
from src_models.training.method_spec import options_of
from src_models.training.taught import check_all, method_of
from src_models.training.turns import Turn, one_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from src_models.adversaries.game import Nets
    from src_models.adversaries.options import Size
    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.synthesis.options import TwoModalities
    from src_models.training.config import Recipe

TO_TARGET, TO_SOURCE = "to_target", "to_source"
TRANSLATORS = (TO_TARGET, TO_SOURCE)
TARGET_CRITIC, SOURCE_CRITIC = "target_critic", "source_critic"
CRITICS = (TARGET_CRITIC, SOURCE_CRITIC)
CYCLE = "cycle"  # column: what a translation there and back has lost
HALF = 0.5  # a critic's answer above it says real


class Domains(NamedTuple):
    """Training cases of the labelled modality, and of the one that is wanted."""

    source: tuple[Case, ...]
    target: tuple[Case, ...]


def is_source(case: Case, options: TwoModalities) -> bool:
    """Whether the case's name says that it is of the labelled modality."""
    return bool(options.source) and re.match(options.source, case.name) is not None


def target_sides(recipe: Recipe, cases: Split) -> Split:
    """All training cases; of the validation and locked ones the target's.

    Raises
    ------
    InputError
        If a side has none.
    """
    options: TwoModalities = options_of(method_of(recipe))
    held = [
        tuple(case for case in side if not is_source(case, options))
        for side in (cases.validation, cases.locked)
    ]
    if not all(held):
        raise InputError(
            f"{recipe.name}: no validation or no locked case is of the target modality: "
            f"method.options.source = {options.source!r} fits the name of each; name the "
            "labelled modality's cases alone"
        )
    return replace(cases, validation=held[0], locked=held[1])


def domains(recipe: Recipe, cases: Sequence[Case], options: TwoModalities) -> Domains:
    """The two modalities' cases, in their order; the source's in their contrast.

    A patient scanned in both gives one of them, the source's and the target's in turn;
    without `options.source` each patient's images are the one or the other in turn.

    Raises
    ------
    InputError
        If a modality has no patient.
    """
    has: dict[str, set[bool]] = {}
    for case in cases:
        kinds = {is_source(case, options)} if options.source else {True, False}
        has.setdefault(case.group, set()).update(kinds)
    both = sorted(group for group, kinds in has.items() if len(kinds) > 1)
    chosen = {group: kinds == {True} for group, kinds in has.items()}
    chosen |= {group: not at % 2 for at, group in enumerate(both)}
    sides: tuple[list[Case], list[Case]] = ([], [])
    for case in cases:
        as_source = chosen[case.group]
        if not options.source or is_source(case, options) == as_source:
            sides[not as_source].append(case)
    source, target = sides
    if not (source and target):
        raise InputError(
            f"{recipe.name}: at least one training patient of each modality is wanted, got "
            f"{len({one.group for one in source})} of the labelled one and "
            f"{len({one.group for one in target})} of the other; give more cases, or see "
            f"to method.options.source = {options.source!r}"
        )
    if options.contrast == "inverted":
        source = [inverted(case) for case in source]
    return Domains(tuple(source), tuple(target))


def inverted(case: Case) -> Case:
    """Dark where it was bright, in the same range, each channel by itself."""
    axes = tuple(range(1, case.image.ndim))
    image = case.image.astype(np.float32)
    ends = image.min(axes, keepdims=True) + image.max(axes, keepdims=True)
    return replace(case, image=ends - image)


def begin(
    recipe: Recipe,
    cases: Split,
    devices: tuple[str, int, int],
    columns: tuple[str, ...] = (CYCLE,),
) -> tuple[Game, Domains]:
    """Checked and ready. `devices`: accelerator, devices, nodes.

    Raises
    ------
    InputError
        If cases, schedule or devices do not fit, a modality has no patient, or no image
        of the source holds a structure.
    """
    fabric = one_device(recipe, *devices)
    check_all(recipe, cases)
    options: TwoModalities = options_of(method_of(recipe))
    parts = domains(recipe, cases.train, options)
    check_structures(parts.source)
    referee = Referee(CRITICS, options, 0, also=columns)
    return Game(recipe, cases, fabric, options, referee), parts


def translators_and_critics(
    recipe: Recipe, size: Size, translator: Callable[[Size, int, int], nn.Module]
) -> dict[str, nn.Module]:
    """Two translators that begin alike, and two critics that do."""
    shape = recipe.net.ndim, recipe.net.in_channels
    torch.manual_seed(recipe.train.seed + 1)
    moved, critic = translator(size, *shape), patch_critic(size, *shape)
    return {
        TO_TARGET: moved,
        TO_SOURCE: deepcopy(moved),
        TARGET_CRITIC: critic,
        SOURCE_CRITIC: deepcopy(critic),
    }


class Exchange(NamedTuple):
    """Real images (B, C, *S) of both modalities, and each in the other's look."""

    source: Tensor
    target: Tensor
    as_target: Tensor
    as_source: Tensor


def exchanged(nets: Nets, source_BCS: Tensor, target_BCS: Tensor) -> Exchange:
    """Both translated."""
    return Exchange(
        source_BCS,
        target_BCS,
        nets[TO_TARGET](source_BCS),
        nets[TO_SOURCE](target_BCS),
    )


def translating(game: Game, nets: Nets, both: Exchange) -> Tensor:
    """What the translators learn from: the critics' words, and what both ways have lost."""
    back = lost(nets[TO_SOURCE](both.as_target), both.source)
    forth = lost(nets[TO_TARGET](both.as_source), both.target)
    game.referee.note(CYCLE, float((back + forth).detach()) / 2)
    words = hear(game, TARGET_CRITIC, nets, both.as_target)
    words = words + hear(game, SOURCE_CRITIC, nets, both.as_source)
    loss: Tensor = game.options.weight * words + game.options.cycle * (back + forth)
    return loss


def hear(game: Game, name: str, nets: Nets, made: Tensor) -> Tensor:
    """A critic's word on what was made; 0 once it was sent away.

    A word that is no number sends it away.
    """
    if game.referee.judges(name):
        word = believed(nets[name](made))
        if word.isfinite():
            return word
        game.referee.saw(name, math.nan)
    return torch.zeros((), device=made.device)


def teach(game: Game, nets: Nets, both: Exchange) -> Iterator[Turn]:
    """The critics' turns, each if it is one to judge; no gradient goes into the images."""
    for name, real, made in (
        (TARGET_CRITIC, both.target, both.as_target),
        (SOURCE_CRITIC, both.source, both.as_source),
    ):
        if not game.referee.judges(name):
            continue
        manual, guess = (nets[name](one.detach()) for one in (real, made))
        game.referee.saw(name, right_answers(manual - HALF, guess - HALF))
        if game.referee.judges(name):
            yield Turn((name,), told_apart(manual, guess))
