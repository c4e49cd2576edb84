"""What a net reaches on cases: the same inference and metrics as the user gets."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.card import LabelScores, Scores
from src_models.inference import Options, predict
from src_models.metrics import Report, counts, dice, score_all
from src_models.metrics.columns import COLUMNS
from src_models.progress import drain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import torch
    from torch import nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case

Found = list[tuple[str, Report]]


def reports(
    net: nn.Module,
    card: TrainedCard,
    cases: Iterable[Case],
    *,
    tolerance: float,
    options: Options,
) -> Iterator[tuple[str, Report]]:
    """(case, its report) one by one, each on its own grid.

    Where nothing is known (label −1) neither side has a structure.
    """
    names = {row.value: row.name for row in card.labels}
    for case in cases:
        labels = _predicted(net, card, case, options)
        labels[case.labels < 0] = 0
        yield (
            case.name,
            score_all(
                labels,
                case.labels.clip(min=0),
                spacing=case.spacing,
                unit="px" if card.spacing is None else "mm",
                tolerance=tolerance,
                labels=names,
                has_time=card.net.frames,
            ),
        )


def case_dices(
    net: nn.Module, card: TrainedCard, cases: Iterable[Case], device: torch.device
) -> list[float]:
    """The Dice of each case and structure, by an inference quicker than the user's."""
    options = Options(device=str(device), overlap=0.25)
    found = []
    for case in cases:
        labels = _predicted(net, card, case, options)
        known = case.labels >= 0
        found += [
            dice(counts((labels == row.value) & known, case.labels == row.value))
            for row in card.labels
        ]
    return found


def _predicted(
    net: nn.Module, card: TrainedCard, case: Case, options: Options
) -> npt.NDArray[Any]:
    image_NCS = case.image[None]
    steps = predict(net, card, image_NCS, spacing=case.spacing, options=options)
    labels: npt.NDArray[Any] = drain(steps)[0]
    return labels


def known_share(cases: Sequence[Case]) -> float:
    """Of all voxels of the cases, the share that has a label; 0 of none."""
    known = sum(int(np.count_nonzero(case.labels >= 0)) for case in cases)
    return known / max(1, sum(case.labels.size for case in cases))


def summary(found: list[Report], known: float = 1) -> Scores:
    """Mean and standard deviation over cases, per structure.

    `known`: share of the cases' voxels that have a label.

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
        known=known,
        mean_dice=_mean([row.dice for row in rows]),
        tolerance=found[0].tolerance,
        labels=tuple(rows),
    )


def write_cases(found: Found, path: Path) -> None:
    """All metrics as CSV, a row for each case and structure.

    `presence` says on which side a structure is; on one or none, a rule made the number.
    """
    keys = [column.key for column in COLUMNS]
    lines = [
        [name, row.name, row.case, *(f"{getattr(row, key):.4f}" for key in keys)]
        for name, report in found
        for row in report.rows
    ]
    _write(path, ["case", "structure", "presence", *keys], lines)


def write_summary(sides: Mapping[str, Found], path: Path) -> None:
    """Mean and standard deviation over the cases of each side, structure and metric."""
    lines = []
    for side, found in sides.items():
        for at, first in enumerate(found[0][1].rows):
            for column in COLUMNS:
                values = [getattr(report.rows[at], column.key) for _, report in found]
                numbers = (f"{np.mean(values):.4f}", f"{np.std(values):.4f}")
                count = str(len(values))
                lines.append([side, first.name, column.key, count, *numbers])
    _write(path, ["side", "structure", "metric", "cases", "mean", "sd"], lines)


def _write(path: Path, head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(head)
        table.writerows(lines)


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)
