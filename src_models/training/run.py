"""From a recipe to a model's folder: train, evaluate on locked cases, save."""

from __future__ import annotations

import csv
from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from src_models.card import TrainedCard
from src_models.data.splits import Split, split_cases
from src_models.inference import Options
from src_models.progress import Progress
from src_models.training.cards import draft_card
from src_models.training.evaluate import reports, summary
from src_models.training.fit import Epoch, Step, fit, mean_dice
from src_models.weights import save_model

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from torch import nn

    from src_models.data.cases import Case
    from src_models.metrics import Report
    from src_models.training.config import Recipe

HALF_LOSES = 5e-4  # validation Dice that 16-bit weights may cost


def train(
    recipe: Recipe,
    cases: Sequence[Case],
    *,
    run: Path,
    out: Path,
    accelerator: str = "auto",
) -> Generator[Step | Epoch | Progress, None, TrainedCard]:
    """Train, then measure the best net on the cases it has never seen, then save.

    Parameters
    ----------
    run : Path
        Folder of the run's state; an interrupted run is taken up again there.
    out : Path
        Folder of the finished model: weights, card, ``locked.csv`` (one row a case and
        structure).

    Yields
    ------
    Step, Epoch
        While training.
    Progress
        While evaluating.
    """
    sides = split_cases(
        cases,
        salt=recipe.data.salt,
        validation=recipe.data.validation,
        locked=recipe.data.locked,
    )
    net = yield from fit(recipe, sides, run, accelerator=accelerator)
    card = draft_card(recipe, sides)
    if _half_is_enough(net, card, sides):
        net = net.half().float()
        card = card.model_copy(update={"precision": "float16"})
    scores = {}
    found: list[tuple[str, Report]] = []
    for side in ("validation", "locked"):
        held: tuple[Case, ...] = getattr(sides, side)
        found = []
        device = str(next(net.parameters()).device)
        options = Options(device=device, mirror=recipe.mirror)
        for one in reports(
            net, card, held, tolerance=recipe.tolerance, options=options
        ):
            found.append(one)
            yield Progress(len(found), len(held), f"evaluating {side} case {one[0]}")
        scores[side] = summary([report for _, report in found])
    values = {**card.model_dump(warnings=False), **scores}
    card = save_model(net, TrainedCard.model_validate(values), out)
    _write_cases(found, out / "locked.csv")
    return card


def _half_is_enough(net: nn.Module, card: TrainedCard, sides: Split) -> bool:
    """Whether weights rounded to 16 bit cost no more than `HALF_LOSES`."""
    device = next(net.parameters()).device
    rounded = deepcopy(net).half().float()
    with torch.inference_mode():
        before = mean_dice(net, card, sides.validation, device)
        after = mean_dice(rounded, card, sides.validation, device)
    return after >= before - HALF_LOSES


def _write_cases(found: list[tuple[str, Report]], path: Path) -> None:
    columns = ("case", "structure", "dice", "iou", "hd95", "assd", "nsd")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for name, report in found:
            for row in report.rows:
                numbers = [f"{getattr(row, key):.4f}" for key in columns[2:]]
                table.writerow([name, row.name, *numbers])
