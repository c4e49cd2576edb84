"""The window's verbs for many cases. They say, never raise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_segreview.core.cohort import CasesDone
from napari_segreview.core.cohort_state import summed_up
from napari_segreview.core.errors import in_one_line
from napari_segreview.core.host import Host
from napari_segreview.core.labels import LabelMap
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_segreview.core.cohort import CaseFiles, CaseScore
    from napari_segreview.core.cohort_state import Cohort, CohortWish, Part, Sums
    from napari_segreview.core.protocols import Shelf
    from napari_segreview.core.reviewing import Reviewing
    from napari_segreview.core.scan import Scan


class Scorer(Protocol):
    """Finds, scores and reads the files of cases."""

    def cases(self, wish: CohortWish) -> Sequence[CaseFiles]:
        """The files of each case; raises InputError if there are none."""
        ...

    def score(
        self, cases: Sequence[CaseFiles], wish: CohortWish
    ) -> Generator[Progress, None, tuple[CaseScore, ...]]:
        """Tells `CasesDone`; what was finished before is not scored again."""
        ...

    def read(self, case: CaseFiles) -> Generator[Progress, None, list[Scan | LabelMap]]:
        """The image if there is one, the reference, the second model, the prediction."""
        ...

    def write(
        self, scores: Sequence[CaseScore], wish: CohortWish, path: Path
    ) -> Generator[Progress, None, Path]:
        """A page, CSV and JSON beside it; raises InputError."""
        ...


class CohortHost(Host, Protocol):
    """The session, with what else is needed of it."""

    reviewing: Reviewing

    def choose_scan(self, key: str) -> None: ...

    def choose_pair(self, prediction: str, reference: str) -> None: ...

    def choose_tolerance(self, tolerance: float) -> None: ...


@dataclass(frozen=True, slots=True)
class _Opened:
    """Keys of the layers of a case."""

    images: tuple[str, ...]
    prediction: str
    reference: str

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.images, self.reference, self.prediction)


class Scoring:
    """Choose files, score them all, open one of them, write the report."""

    def __init__(self, host: CohortHost, shelf: Shelf, scorer: Scorer | None) -> None:
        self._host, self._shelf, self._scorer = host, shelf, scorer
        self._opened: dict[CaseFiles, _Opened] = {}

    def choose(self, part: Part, path: Path | None) -> None:
        """A folder (or, for the predictions, a CSV list); None takes it back."""
        change: dict[str, Any] = {part: path}
        self._choose(replace(self._cohort.wish, **change))

    def choose_tolerance(self, tolerance: float) -> None:
        """The distance, in mm or px, up to which surfaces count as the same."""
        self._choose(replace(self._cohort.wish, tolerance=tolerance))

    def choose_resample(self, wanted: bool) -> None:
        """Whether labels on another grid are brought onto the reference's."""
        self._choose(replace(self._cohort.wish, resample=wanted))

    def choose_models(self, first: str, second: str) -> None:
        """Whose labels they are, for the report; "" is not known."""
        self._become(wish=replace(self._cohort.wish, models=(first, second)))

    def choose_names(self, wanted: bool) -> None:
        """Whether the report tells the names of the cases."""
        self._become(wish=replace(self._cohort.wish, names=wanted))

    def score(self) -> None:
        """Score all cases; those that are finished already are not scored again."""
        wish, scorer = self._cohort.wish, self._idle_scorer()
        if scorer is None or wish.missing:
            return
        try:
            files = tuple(scorer.cases(wish))
        except (InputError, OSError) as error:
            self._host.say(fault=in_one_line(error))
            return

        def steps() -> Generator[Progress, None, tuple[tuple[CaseScore, ...], Sums]]:
            scores = yield from scorer.score(files, wish)
            yield Progress(len(files), len(files), "summing up")
            return scores, summed_up(scores)

        def then(found: tuple[tuple[CaseScore, ...], Sums]) -> None:
            scores, sums = found
            self._host.settle(said=f"Scored {_cases(len(scores))}.")
            self._become(scores=scores, sums=sums)

        self._become(files=files, scores=(), sums=None)
        self._host.start("cohort", _cases(len(files)), steps(), then)

    def hear(self, progress: Progress) -> None:
        """A run tells which cases are finished."""
        if isinstance(progress, CasesDone) and progress.scores != self._cohort.scores:
            self._become(scores=progress.scores)

    def open_case(self, name: str) -> None:
        """Open the files of a case and go to its worst slice; other layers are hidden.

        Layers of the case that are still open are shown, not opened again.
        """
        case = next((one for one in self._cohort.files if one.case == name), None)
        scorer = self._idle_scorer()
        if case is None or scorer is None:
            return
        opened = self._opened.get(case)
        if opened is not None and self._are_open(opened):
            self._visit(opened)
            return

        def then(items: list[Scan | LabelMap]) -> None:
            opened = self._opened[case] = self._add(items)
            self._host.settle(said=f"Opened {name}.")
            self._visit(opened)

        self._host.start("open", name, scorer.read(case), then)

    def write_report(self, path: Path) -> None:
        """One HTML page, and the scores beside it as CSV and JSON."""
        scorer, scores = self._idle_scorer(), self._cohort.scores
        if scorer is None or self._cohort.sums is None:
            return

        def then(written: Path) -> None:
            self._host.settle(said=f"Wrote the report to {written}.")

        steps = scorer.write(scores, self._cohort.wish, path)
        self._host.start("report", _cases(len(scores)), steps, then)

    def _add(self, items: Sequence[Scan | LabelMap]) -> _Opened:
        before = {ref.key for ref in self._shelf.images()}
        keys = [self._shelf.add(item).key for item in items]
        labels = [
            key
            for key, item in zip(keys, items, strict=True)
            if isinstance(item, LabelMap)
        ]
        images = [ref.key for ref in self._shelf.images() if ref.key not in before]
        return _Opened(tuple(images), prediction=labels[-1], reference=labels[0])

    def _visit(self, opened: _Opened) -> None:
        wish = self._cohort.wish
        self._shelf.show_only(opened.keys)
        if opened.images:
            self._host.choose_scan(opened.images[-1])
        self._host.choose_pair(opened.prediction, opened.reference)
        self._host.choose_tolerance(wish.tolerance)
        self._host.reviewing.choose_resample(wish.resample)
        self._host.reviewing.compare(visit=True)

    def _are_open(self, opened: _Opened) -> bool:
        refs = (*self._shelf.images(), *self._shelf.label_layers())
        return {*opened.keys} <= {ref.key for ref in refs}

    @property
    def _cohort(self) -> Cohort:
        return self._host.state.cohort

    def _idle_scorer(self) -> Scorer | None:
        return None if self._host.state.running else self._scorer

    def _choose(self, wish: CohortWish) -> None:
        if wish != self._cohort.wish:
            self._become(wish=wish, files=(), scores=(), sums=None)

    def _become(self, **changes: Any) -> None:
        self._host.put(cohort=replace(self._cohort, **changes))


def _cases(count: int) -> str:
    return f"{count} case{'s' * (count != 1)}"
