"""Improve a model on corrected cases: a candidate, a judgement, a version. Wakes torch.

The active model is read and never written: a candidate is a new folder beside it, and
only the pointer moves, only when the gate lets it.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from napari_segreview.core.protocols import Improved
from napari_segreview.engine.case_store import keep, kept, load, shown_again
from napari_segreview.engine.device import usable
from napari_segreview.engine.judging import (
    Judged,
    blank_scores,
    judged,
    numbers,
    on_new,
    refuse_learnt,
    scored,
)
from napari_segreview.engine.lessons import as_cases, check_lesson, new_rows
from napari_segreview.engine.models import models
from napari_segreview.engine.offers import misfit
from napari_segreview.engine.versions import (
    VersionRecord,
    activate,
    check_room,
    learnt_from,
    put,
)
from src_models.card import WEIGHTS_FILE, find_model, read_card
from src_models.data.held import folds
from src_models.errors import InputError
from src_models.progress import Curve, Point, Progress
from src_models.training.extend import NEW_RATE, extend_head
from src_models.training.finetune import Tuning, finetune
from src_models.training.gate import Rules, Verdict, gate
from src_models.weights import load_model, save_model

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import nn

    from napari_segreview.core.protocols import TuneWish
    from napari_segreview.engine.case_store import Corrected
    from napari_segreview.engine.versions import Standing
    from src_models.card import LabelRow, TrainedCard
    from src_models.data.cases import Case
    from src_models.data.held import Fold

FOLDS = 3
LEAST_TRAINING = 0.25  # of the budget, however long judging takes
FOLD_SHARE = 0.5  # of the budget, for all folds together
LEAST_FOLD = 1.0  # seconds
UNJUDGED = "stopped before it was judged"
JUDGE = "is one of the locked cases: it has judged, and was not learnt from"
NO_GAIN = "no weights did better on the checked parts that were kept back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What a run learns from, and what it is judged on.

    Attributes
    ----------
    fresh, earlier, locked : tuple of Corrected
        Corrected now; kept from before and shown again; never learnt from.
    """

    fresh: tuple[Corrected, ...]
    earlier: tuple[Corrected, ...] = ()
    locked: tuple[Corrected, ...] = ()


def improve(
    model: str,
    lessons: Lessons,
    tuning: Tuning | None = None,
    *,
    rules: Rules | None = None,
    out: Path | None = None,
    began: float | None = None,
) -> Generator[Progress, None, Improved]:
    """Train a candidate, judge it on the locked cases, keep it as a version.

    With too few locked cases it is provisional, and half of the budget goes into folds:
    blocks of checked planes, each predicted by a candidate that has not learnt from it.
    Closed while it trains, the best so far is kept, as provisional and unjudged.

    Parameters
    ----------
    model : str
        A model's name; its active version is where it starts.
    out : Path, optional
        Also write the candidate there.
    began : float, optional
        Since when the budget runs, by `time.monotonic`; from now on without.

    Raises
    ------
    InputError
        If a case to learn from is locked, none was checked, or the model cannot read one.
    """
    rules, tuning = rules or Rules(), tuning or Tuning()
    began = time.monotonic() if began is None else began
    yield Progress(0, 0, "loading the model")
    folder = find_model(model, models())
    learnt = learnt_from(folder)
    refuse_locked(lessons, learnt)
    check_room(read_card(folder).name, (folder / WEIGHTS_FILE).stat().st_size)
    net, card = load_model(folder)
    tuning = replace(tuning, device=usable(tuning.device))
    run = _Run.of(net, card, lessons, tuning, learnt)
    if run.new:
        rate = max(NEW_RATE, tuning.learning_rate)
        tuning = replace(tuning, learning_rate=rate)
    judging = time.monotonic()
    before = yield from scored(net, card, run.locked, run.tuning.device)
    before += blank_scores(run.locked, run.new)
    now = time.monotonic()
    run.tuning = _what_is_left(tuning, now - began + (now - judging))
    few = len({case.group for case, _ in run.locked}) < rules.cases
    said = (yield from run.judged_by_folds()) if few else ()
    try:
        yield from run.train()
    except GeneratorExit:
        if run.learnt:
            run.keep("provisional", (UNJUDGED,))
        raise
    after = yield from scored(run.as_written(), run.card, run.locked, run.tuning.device)
    verdict = on_new(gate(before, after, rules), run.locked, run.new)
    reasons = (*verdict.reasons, *said, *(() if run.learnt else (NO_GAIN,)))
    version = run.keep(verdict.decision, reasons, verdict, out)
    if verdict.decision == "accepted":
        activate(run.card.name, version)
    return Improved(version, verdict.decision, reasons)


@dataclass(slots=True)
class _Run:
    """A candidate in the making."""

    active: nn.Module
    active_card: TrainedCard
    net: nn.Module
    card: TrainedCard
    tuning: Tuning
    ancestors_cases: frozenset[str]
    fresh: list[Case]
    earlier: list[Case]
    locked: list[Judged]
    new: tuple[LabelRow, ...]
    learnt: bool = False  # better than it was, on the parts kept back
    folded: float = 0.0  # share of the work that went into folds

    @classmethod
    def of(
        cls,
        net: nn.Module,
        card: TrainedCard,
        lessons: Lessons,
        tuning: Tuning,
        learnt: frozenset[str],
    ) -> _Run:
        known = [
            tuple(one for one in side if not misfit(card, one.scan))
            for side in (lessons.earlier, lessons.locked)
        ]
        rows = new_rows([*lessons.fresh, *known[0]], card)
        grown, wider = extend_head(net, card, rows)
        fresh, earlier = (
            [case for one in side for case in as_cases(one, wider, again=again)]
            for side, again in ((lessons.fresh, False), (known[0], True))
        )
        return cls(
            net,
            card,
            grown,
            wider,
            tuning,
            learnt,
            fresh,
            earlier,
            judged(known[1], wider),
            rows,
        )

    def train(self) -> Generator[Progress, None, None]:
        for event in self._tune(self.net, None, self.tuning):
            if isinstance(event, Curve):
                self.learnt = event.best > event.points[0].dice
            yield _share(event, self.folded, 1)

    def _tune(
        self, net: nn.Module, fold: Fold | None, tuning: Tuning
    ) -> Generator[Progress, None, None]:
        yield from finetune(
            self.card,
            net,
            self.fresh,
            tuning,
            replay=self.earlier,
            fold=fold,
            before=self.active,
        )

    def judged_by_folds(self) -> Generator[Progress, None, tuple[str, ...]]:
        """Words on how candidates do on blocks of planes they have not learnt from."""
        made = folds(self.fresh, FOLDS)
        if not made:
            return ()
        whole, began = self.tuning, time.monotonic()
        self.folded = FOLD_SHARE
        points: list[Point] = []
        pairs: list[tuple[float, float]] = []
        for at, fold in enumerate(made):
            left = FOLD_SHARE * whole.budget_seconds - (time.monotonic() - began)
            if pairs and left <= 0 and whole.steps is None:
                break  # fewer parts rather than no time to learn
            part = replace(
                whole,
                budget_seconds=max(LEAST_FOLD, left / (len(made) - at)),
                steps=whole.steps and max(1, int(whole.steps * FOLD_SHARE / len(made))),
            )
            low, high = (FOLD_SHARE * (at + i) / len(made) for i in (0, 1))
            what = f"judging by part {at + 1} of {len(made)}: "
            for event in self._tune(deepcopy(self.net), fold, part):
                points = [*event.points] if isinstance(event, Curve) else points
                yield _share(event, low, high, what)
            # The last measurement, not the best: none is chosen by what it is judged on.
            pairs.append((points[0].dice, points[-1].dice))
        self.tuning = _what_is_left(whole, time.monotonic() - began)
        old, new = (fmean(one) for one in zip(*pairs, strict=True))
        parts = f"{len(pairs)} separate part{'s' * (len(pairs) != 1)}"
        return (
            f"on {parts} of what was checked, each judged without having been learnt "
            f"from: Dice {old:.3f} → {new:.3f}",
        )

    def as_written(self) -> nn.Module:
        """The candidate, rounded as its file will be."""
        if self.card.precision == "float16":
            self.net = self.net.half().float()
        return self.net

    def keep(
        self,
        standing: Standing,
        reasons: tuple[str, ...],
        verdict: Verdict | None = None,
        out: Path | None = None,
    ) -> str:
        """Write the candidate as a version, not active; returns its id."""
        card = self.card
        if standing == "provisional":
            title = self.active_card.title.removesuffix(" (provisional)")
            card = card.model_copy(update={"title": f"{title} (provisional)"})
        record = VersionRecord(
            parent=self.active_card.sha256,
            cases=tuple(sorted({case.group for case in (*self.fresh, *self.earlier)})),
            earlier=tuple(sorted(self.ancestors_cases)),
            standing=standing,
            reasons=reasons,
            numbers=numbers(verdict) if verdict else (),
            tuning=asdict(self.tuning),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        version = put(card.name, partial(save_model, self.net, card), record)
        if out is not None:
            save_model(self.net, card, out)
        return version


def _what_is_left(tuning: Tuning, seconds: float) -> Tuning:
    """After so many; enough to learn something, however many they are."""
    whole = tuning.budget_seconds
    left = max(LEAST_TRAINING * whole, whole - seconds)
    return replace(tuning, budget_seconds=left)


def _share(event: Progress, low: float, high: float, what: str = "") -> Progress:
    """Progress of a part of the work as that of all of it."""
    if not event.total:
        return event
    along = low + (high - low) * event.done / event.total
    return replace(event, done=round(1000 * along), total=1000, note=what + event.note)


def refuse_locked(lessons: Lessons, learnt: frozenset[str]) -> None:
    """No case may be learnt from and judged on; not by another scan of the patient."""
    locked = {one.group for one in lessons.locked}
    for one in (*lessons.fresh, *lessons.earlier):
        if one.group in locked:
            raise InputError(
                f"{one.scan.name} is one of the locked cases, which judge models and are "
                "never learnt from; leave it out of training, or out of the locked ones"
            )
    refuse_learnt(lessons.locked, learnt)


def improve_on(
    case: Corrected, wish: TuneWish, began: float | None = None
) -> Generator[Progress, None, Improved]:
    """Keep a case; improve a model on it and on those kept before.

    Parameters
    ----------
    began : float, optional
        As `improve`.

    Raises
    ------
    InputError
        As `improve`; or the case is locked and no other was kept to learn from.
    """
    began = time.monotonic() if began is None else began
    if not case.checked.any():
        raise InputError(
            "nothing was checked yet, so there is nothing to learn; mark the slices "
            "that you have corrected"
        )
    yield Progress(0, 0, "keeping the corrections")
    card = read_card(find_model(wish.model, models()))
    check_lesson(case, card)
    top = int(case.labels.data[case.checked].max())
    case = replace(case, known=max(card.net.classes, top + 1))
    side = keep(case, card.name)
    others = tuple(load(one) for one in shown_again(card.name, {case.id}))
    locked = tuple(load(one) for one in kept("locked", card.name))
    fresh, earlier = ((case,), others) if side == "train" else (others, ())
    if not fresh:
        raise InputError(
            f"{case.scan.name} is one of the locked cases, which judge models and are "
            "never learnt from; check slices of another scan too"
        )
    tuning = Tuning(
        budget_seconds=wish.budget_seconds, loss=wish.loss, device=wish.device
    )
    lessons = Lessons(fresh=fresh, earlier=earlier, locked=locked)
    found = yield from improve(wish.model, lessons, tuning, began=began)
    said = () if side == "train" else (f"{case.scan.name} {JUDGE}",)
    return replace(found, reasons=(*found.reasons, *said))
