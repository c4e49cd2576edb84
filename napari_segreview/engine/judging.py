"""Models on locked cases: who may judge whom, and what is found. Wakes torch."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from napari_segreview.engine.case_store import kept, load
from napari_segreview.engine.device import usable
from napari_segreview.engine.lessons import as_cases, scores
from napari_segreview.engine.models import models
from napari_segreview.engine.versions import Number, learnt_from, version_folder
from src_models.card import find_model
from src_models.errors import InputError
from src_models.progress import Progress
from src_models.training.gate import CaseScore, gate
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from torch import nn

    from napari_segreview.engine.case_store import Corrected
    from src_models.card import LabelRow, TrainedCard
    from src_models.data.cases import Case
    from src_models.training.gate import Verdict

Judged = tuple["Case", "int | None"]  # with the values that existed, as Corrected.known


def judged(cases: Iterable[Corrected], card: TrainedCard) -> list[Judged]:
    """Locked cases as a model is measured on them."""
    return [
        (case, one.known) for one in cases for case in as_cases(one, card, judging=True)
    ]


def scored(
    net: nn.Module, card: TrainedCard, cases: Sequence[Judged], device: str
) -> Generator[Progress, None, list[CaseScore]]:
    """Means over the images of each patient: slices of one are not cases."""
    found: dict[tuple[str, str], list[CaseScore]] = {}
    for at, rows in enumerate(scores(net, card, cases, device), 1):
        for row in rows:
            group = cases[at - 1][0].group
            found.setdefault((group, row.structure), []).append(row)
        yield Progress(at, len(cases), f"judging on case {at} of {len(cases)}")
    return _means(found)


def blank_scores(cases: Sequence[Judged], rows: Sequence[LabelRow]) -> list[CaseScore]:
    """Of a model that finds none of some structures: 1 where there is none, 0 elsewhere."""
    found: dict[tuple[str, str], list[CaseScore]] = {}
    for case, known in cases:
        for row in rows:
            if known is None or row.value < known:
                right = float(not (case.labels == row.value).any())
                score = CaseScore(case.name, row.name, right, right)
                found.setdefault((case.group, row.name), []).append(score)
    return _means(found)


def on_new(
    verdict: Verdict, cases: Sequence[Judged], rows: Sequence[LabelRow]
) -> Verdict:
    """The gate's word on a model that has learnt new structures.

    If no locked case holds one of them, and nothing got worse, it is provisional: there
    is nothing to accept or reject it by.
    """
    unseen = [
        row.name
        for row in rows
        if not any((case.labels == row.value).any() for case, _ in cases)
    ]
    tolerance = verdict.rules.tolerance
    worse = any(one.difference.mean < -tolerance for one in verdict.changes)
    if verdict.decision != "rejected" or worse or not unseen:
        return verdict
    why = (
        f"no locked case holds {', '.join(unseen)}, so what was learnt cannot be judged; "
        "draw it in scans that judge. Nothing else got worse"
    )
    return replace(verdict, decision="provisional", reasons=(why,))


def numbers(verdict: Verdict) -> tuple[Number, ...]:
    """What a verdict rests on, as a version's record keeps it."""
    return tuple(
        Number(
            structure=one.structure,
            metric=one.metric,
            active=one.active,
            candidate=one.candidate,
            low=one.difference.low,
            high=one.difference.high,
        )
        for one in verdict.changes
    )


def refuse_learnt(locked: Iterable[Corrected], learnt: frozenset[str]) -> None:
    """No case may judge a model that has learnt from it, or from the same patient.

    Raises
    ------
    InputError
    """
    for one in locked:
        if one.group in learnt:
            raise InputError(
                f"{one.scan.name} cannot judge: this model has learnt from it, or from "
                "another scan of the patient; leave it out of the locked ones"
            )


def compare_models(
    one: Path, other: Path, cases: Sequence[Corrected], device: str = "auto"
) -> Generator[Progress, None, Verdict]:
    """The gate by itself: whether `other` may take the place of `one`.

    Raises
    ------
    InputError
        If one of them has learnt from a case, or cannot read one.
    """
    found: list[list[CaseScore]] = []
    place = usable(device)
    refuse_learnt(cases, learnt_from(one) | learnt_from(other))
    for folder in (one, other):
        net, card = load_model(folder)
        found.append((yield from scored(net, card, judged(cases, card), place)))
    return gate(found[0], found[1])


def compare_kept(
    model: str, version: str, device: str
) -> Generator[Progress, None, tuple[str, ...]]:
    """A version beside the active one on the model's kept locked cases, in words.

    Raises
    ------
    InputError
        As `compare_models`, and if no locked case is kept.
    """
    locked = [load(one) for one in kept("locked", model)]
    if not locked:
        raise InputError(
            "there are no locked cases yet to compare on; mark slices of further scans "
            "and improve the model on them: about three in ten are locked"
        )
    active = find_model(model, models())
    other = version_folder(model, version)
    verdict = yield from compare_models(active, other, locked, device)
    return (
        f"{version} beside the active version: {verdict.decision}.",
        *verdict.reasons,
        *(
            f"{one.structure}: {one.metric} {one.active:.3f} → {one.candidate:.3f}"
            for one in verdict.changes
        ),
    )


def _means(found: dict[tuple[str, str], list[CaseScore]]) -> list[CaseScore]:
    return [
        CaseScore(
            group, structure, fmean(r.dice for r in rows), fmean(r.nsd for r in rows)
        )
        for (group, structure), rows in found.items()
    ]
