"""Corrected cases as a model learns from them and is measured on them. Wakes torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.scan import check_finite
from napari_segreview.engine.offers import misfit
from napari_segreview.engine.predict import as_images
from src_models.card import LabelRow
from src_models.data.cases import Case
from src_models.errors import InputError
from src_models.inference import Options
from src_models.losses import IGNORE
from src_models.training.evaluate import reports
from src_models.training.gate import CaseScore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from napari_segreview.engine.case_store import Corrected
    from src_models.card import TrainedCard


def as_cases(
    one: Corrected, card: TrainedCard, *, judging: bool = False, again: bool = False
) -> list[Case]:
    """The case as the model sees it, labels `IGNORE` where nothing was checked.

    Of several frames, or slices for a 2D net, those with a checked voxel, each a case.
    Background that may be a structure which did not exist when it was checked teaches
    nothing; `judging` keeps it (`scores` leaves those structures out), and so does
    `again`, in cases that are shown again: they are `blank` then.

    Raises
    ------
    InputError
        If the model cannot read the scan.
    """
    if reason := misfit(card, one.scan):
        raise InputError(f"{one.scan.name}: {reason}")
    check_finite(one.scan.data, one.scan.name)
    images, spacing = as_images(one.scan, card)
    truth = np.where(one.checked, one.labels.data.astype(np.int16), np.int16(IGNORE))
    blank = not judging and one.known is not None and one.known < card.net.classes
    if blank and not again:
        truth[truth == 0] = IGNORE
    held = replace(one.scan, data=truth, has_channels=False)
    grey = card.model_copy(
        update={"net": card.net.model_copy(update={"in_channels": 1})}
    )
    labels = as_images(held, grey)[0][:, 0]
    many = len(images) > 1
    return [
        Case(
            name=f"{one.id}/{at}" if many else one.id,
            group=one.group,
            image=np.ascontiguousarray(image),
            labels=np.ascontiguousarray(truth),
            spacing=spacing,
            blank=blank,
        )
        for at, (image, truth) in enumerate(zip(images, labels, strict=True))
        if (truth != IGNORE).any()
    ]


def check_lesson(one: Corrected, card: TrainedCard) -> None:
    """Refuse what a model could never learn from, before it is kept.

    Raises
    ------
    InputError
        If the model cannot read the scan, voxels are not finite, or label values do not
        go on where the model's end.
    """
    as_cases(one, card)
    new_rows([one], card)


def new_rows(lessons: Sequence[Corrected], card: TrainedCard) -> tuple[LabelRow, ...]:
    """Structures that were drawn and checked and that the model does not know yet.

    Raises
    ------
    InputError
        If their values do not go on where the model's end, or one value has two names.
    """
    names: dict[int, LabelRow] = {}
    for one in lessons:
        table = one.labels.table
        for value in map(int, np.unique(one.labels.data[one.checked])):
            if value >= card.net.classes:
                color = table.color(value)
                row = LabelRow(value=value, name=table.name(value), color=color)
                if names.setdefault(value, row).name != row.name:
                    raise InputError(
                        f"label {value} is {row.name!r} in {one.labels.name} and "
                        f"{names[value].name!r} in another case; give one structure one "
                        "number and name"
                    )
    found = sorted(names)
    wanted = list(range(card.net.classes, card.net.classes + len(found)))
    if found != wanted:
        raise InputError(
            f"the checked labels have the values {found}, which {card.title} does not "
            f"know (0 … {card.net.classes - 1}); number new structures from "
            f"{card.net.classes} on, without gaps, or erase them"
        )
    return tuple(names[value] for value in found)


def scores(
    net: nn.Module,
    card: TrainedCard,
    cases: Sequence[tuple[Case, int | None]],
    device: str,
) -> Iterator[list[CaseScore]]:
    """Dice and NSD of each structure that the model knows, case by case.

    Parameters
    ----------
    cases : sequence of (Case, int or None)
        With the values that existed when it was checked, as `Corrected.known`.
    """
    options = Options(device=device, mirror=card.mirror, overlap=0.25)
    values = {row.name: row.value for row in card.labels}
    tolerance = card.locked.tolerance
    only = [case for case, _ in cases]
    told = reports(net, card, only, tolerance=tolerance, options=options)
    for (name, report), (_, known) in zip(told, cases, strict=True):
        yield [
            CaseScore(name, row.name, row.dice, row.nsd)
            for row in report.rows
            if row.name in values and (known is None or values[row.name] < known)
        ]
