"""What a net reaches on cases: the same inference and metrics as the user gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src_models.card import LabelScores, Scores
from src_models.inference import Options, predict
from src_models.metrics import Report, score_all
from src_models.progress import drain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case


def reports(
    net: nn.Module,
    card: TrainedCard,
    cases: Iterable[Case],
    *,
    tolerance: float,
    options: Options,
) -> Iterator[tuple[str, Report]]:
    """(case, its report) one by one, each on its own grid."""
    names = {row.value: row.name for row in card.labels}
    for case in cases:
        image_NCS = case.image[None]
        steps = predict(net, card, image_NCS, spacing=case.spacing, options=options)
        labels = drain(steps)[0]
        yield (
            case.name,
            score_all(
                labels,
                case.labels,
                spacing=case.spacing,
                unit="px" if card.spacing is None else "mm",
                tolerance=tolerance,
                labels=names,
            ),
        )


def summary(found: list[Report]) -> Scores:
    """Mean and standard deviation over cases, per structure.

    Raises
    ------
    ValueError
        If there are no reports.
    """
    if not found:
        raise ValueError("no cases to sum up")
    rows = []
    for at, first in enumerate(found[0].rows):
        column = [report.rows[at] for report in found]
        dice = [row.dice for row in column]
        rows.append(
            LabelScores(
                name=first.name,
                dice=_mean(dice),
                dice_sd=round(float(np.std(dice)), 4),
                hd95=_mean([row.hd95 for row in column]),
                assd=_mean([row.assd for row in column]),
                nsd=_mean([row.nsd for row in column]),
            )
        )
    return Scores(
        cases=len(found),
        mean_dice=_mean([row.dice for row in rows]),
        tolerance=found[0].tolerance,
        labels=tuple(rows),
    )


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)
