"""From a recipe to a model's folder: train, evaluate on locked cases, save."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import distributed

from src_models.card import TrainedCard
from src_models.catalog import create_net
from src_models.data.cases import check_cases
from src_models.data.splits import Split, split_cases
from src_models.inference import Options
from src_models.progress import Progress
from src_models.training import checkpoint
from src_models.training.cards import draft_card
from src_models.training.evaluate import (
    Found,
    case_dices,
    known_share,
    reports,
    summary,
    write_cases,
    write_summary,
)
from src_models.training.methods import baseline_of, fit_of, sides_of
from src_models.training.volume_curves import volume_curves, write_curves
from src_models.weights import save_model

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from torch import nn

    from src_models.data.cases import Case
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

HALF_LOSES = 5e-4  # validation Dice that 16-bit weights may cost


def train(
    recipe: Recipe,
    cases: Sequence[Case],
    *,
    run: Path,
    out: Path,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Epoch | Progress, None, TrainedCard | None]:
    """Train, then measure the best net on the cases it has never seen, then save.

    Parameters
    ----------
    run : Path
        Folder of the run's state; an interrupted run is taken up again there.
    out : Path
        Folder of the finished model: weights, card, ``validation.csv`` and
        ``locked.csv`` (one row a case and structure), ``summary.csv`` (mean ± sd); of a net
        that reads frames also ``volumes.csv`` and ``roughness.csv``, of the locked cases.
    accelerator, devices, nodes
        As for `fit`.

    Yields
    ------
    Progress
        For each step of training and each case of the evaluation.
    Epoch
        After each epoch.

    Returns
    -------
    TrainedCard or None
        None in all but the first of several processes: it alone evaluates and saves.
    """
    sides = _split(recipe, cases)
    check_cases(sides.locked, recipe.net)
    net = yield from fit_of(recipe)(
        recipe, sides, run, accelerator=accelerator, devices=devices, nodes=nodes
    )
    if devices * nodes > 1 and distributed.get_rank():
        return None
    card = draft_card(recipe, sides)
    if _half_is_enough(net, card, sides):
        net = net.half().float()
        card = card.model_copy(update={"precision": "float16"})
    found: dict[str, Found] = {}
    for side, held in (("validation", sides.validation), ("locked", sides.locked)):
        found[side] = yield from _measure(net, card, recipe, side, held)
    known = {side: known_share(getattr(sides, side)) for side in found}
    scores = {
        side: summary([one for _, one in rows], known[side])
        for side, rows in found.items()
    }
    nets = {"model": net}
    for beside, file in checkpoint.BESIDE.items():
        if not (run / file).is_file():
            continue
        nets[beside] = _beside(recipe, run, file, net)
        for side, held in (("validation", sides.validation), ("locked", sides.locked)):
            name = f"{side}-{beside}"
            found[name] = yield from _measure(nets[beside], card, recipe, name, held)
        scores[beside] = summary(
            [one for _, one in found[f"locked-{beside}"]], known["locked"]
        )
    values = {**card.model_dump(warnings=False), **scores}
    card = save_model(net, TrainedCard.model_validate(values), out)
    for side, rows in found.items():
        write_cases(rows, out / f"{side}.csv")
    write_summary(found, out / "summary.csv")
    if card.net.frames:
        options = Options(device=str(next(net.parameters()).device))
        curves = yield from volume_curves(nets, card, sides.locked, options)
        write_curves(curves, out, cyclic=card.cyclic)
    return card


def _split(recipe: Recipe, cases: Sequence[Case]) -> Split:
    """Each case on the side of its group, those that the method cannot use left out."""
    data = recipe.data
    sides = split_cases(
        cases, salt=data.salt, validation=data.validation, locked=data.locked
    )
    return sides_of(recipe, sides)


def _measure(
    net: nn.Module, card: TrainedCard, recipe: Recipe, side: str, cases: Sequence[Case]
) -> Generator[Progress, None, Found]:
    device = str(next(net.parameters()).device)
    options = Options(device=device, mirror=recipe.mirror)
    found: Found = []
    for one in reports(net, card, cases, tolerance=recipe.tolerance, options=options):
        found.append(one)
        yield Progress(len(found), len(cases), f"evaluating {side} case {one[0]}")
    return found


def _beside(recipe: Recipe, run: Path, file: str, like: nn.Module) -> nn.Module:
    """A net that was taught beside the other, on its device."""
    net = create_net(baseline_of(recipe)).to(next(like.parameters()).device)
    checkpoint.load_best(run, net, file)
    return net


def _half_is_enough(net: nn.Module, card: TrainedCard, sides: Split) -> bool:
    """Whether weights rounded to 16 bit cost no more than `HALF_LOSES`."""
    device = next(net.parameters()).device
    rounded = deepcopy(net).half().float()
    with torch.inference_mode():
        before = case_dices(net, card, sides.validation, device)
        after = case_dices(rounded, card, sides.validation, device)
    return bool(np.mean(after) >= np.mean(before) - HALF_LOSES)
