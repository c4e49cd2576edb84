"""Many cases through a session that only pretends to have files and layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from session_fakes import Desk, a_scan, desk, some_labels

from napari_segreview.core.cohort import CaseFiles, CaseScore, CasesDone
from napari_segreview.core.cohort_state import Cohort, CohortWish, standing, summed_up
from src_models.errors import InputError
from src_models.metrics import score_all
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan

WHERE = Path("net"), Path("truth")


def scored(case: str, columns: int) -> CaseScore:
    """Three columns are wanted, some are found."""
    found, wanted = some_labels(columns=columns).data, some_labels().data
    return CaseScore(case, score_all(found, wanted, spacing=(1.0, 1.0)))


@dataclass
class FakeScorer:
    """Cases a, b and c; b is the worst."""

    names: str = "abc"
    image: Path | None = None
    fault: Exception | None = None
    reads: list[str] = field(default_factory=list)
    pages: list[tuple[Path, tuple[str, str]]] = field(default_factory=list)
    wishes: list[CohortWish] = field(default_factory=list)

    def cases(self, wish: CohortWish) -> Sequence[CaseFiles]:
        if self.fault is not None:
            raise self.fault
        return [CaseFiles(name, *WHERE, image=self.image) for name in self.names]

    def score(
        self, cases: Sequence[CaseFiles], wish: CohortWish
    ) -> Generator[Progress, None, tuple[CaseScore, ...]]:
        self.wishes.append(wish)
        found: tuple[CaseScore, ...] = ()
        for one in cases:
            found += (scored(one.case, 1 if one.case == "b" else 2),)
            yield CasesDone(len(found), len(cases), one.case, found)
        return found

    def read(self, case: CaseFiles) -> Generator[Progress, None, list[Scan | LabelMap]]:
        yield Progress(0, 1, case.case)
        self.reads.append(case.case)
        if case.case == "c":
            raise InputError("c.nii: the file is damaged")
        labels = [
            some_labels(f"{case.case} · reference"),
            some_labels(f"{case.case} · prediction", columns=1),
        ]
        return [a_scan(case.case), *labels] if case.image else [*labels]

    def write(
        self, scores: Sequence[CaseScore], wish: CohortWish, path: Path
    ) -> Generator[Progress, None, Path]:
        yield Progress(0, 1)
        self.pages.append((path, wish.models))
        return path


def chosen(scorer: FakeScorer, *, at_once: bool = True) -> Desk:
    d = desk(a_scan("mine"), some_labels("mine"), at_once=at_once, scorer=scorer)
    d.session.scoring.choose("predictions", WHERE[0])
    d.session.scoring.choose("references", WHERE[1])
    return d


def test_what_is_missing_is_said() -> None:
    d = desk(scorer=FakeScorer())
    assert "folder of predictions" in d.state.cohort.wish.missing
    d.session.scoring.score()
    assert d.state.cohort.files == ()
    d.session.scoring.choose("predictions", Path("net"))
    assert d.state.cohort.wish.missing == "Choose the folder of the references."
    d.session.scoring.choose("predictions", Path("pairs.CSV"))
    assert d.state.cohort.wish.missing == ""
    d.session.scoring.choose("predictions", None)
    assert d.state.cohort.wish == CohortWish()


def test_all_are_scored_and_summed_up() -> None:
    scorer = FakeScorer()
    d = chosen(scorer)
    d.session.scoring.choose_tolerance(3.0)
    d.session.scoring.choose_resample(True)
    d.session.scoring.score()
    assert (d.state.said, d.state.fault) == ("Scored 3 cases.", "")
    assert [one.case for one in d.state.cohort.scores] == ["a", "b", "c"]
    sums = d.state.cohort.sums
    assert sums.structures.rows[0][1].text == "3"
    assert sums.boxes == {"label 1": pytest.approx((0.8, 0.5, 0.8))}
    assert sums.compared.rows == ()
    assert (scorer.wishes[0].tolerance, scorer.wishes[0].resample) == (3.0, True)


def test_stopped_what_is_finished_stays_on_show() -> None:
    scorer = FakeScorer()
    d = chosen(scorer, at_once=False)
    d.session.scoring.score()
    job = d.later.jobs[0]
    job.progressed.connect(lambda _: job.cancel())
    d.later.run()
    assert d.state.said == "Stopped."
    assert [one.case for one in d.state.cohort.scores] == ["a"]
    assert d.state.cohort.sums is None
    said = standing(d.state.cohort, is_running=False)
    assert said.startswith("Stopped: 1 of 3 cases are finished.")
    d.session.scoring.write_report(Path("page.html"))  # nothing to write yet
    d.session.scoring.score()
    d.later.run()
    assert len(d.state.cohort.scores) == 3
    assert d.later.jobs == []


def test_other_choices_take_old_scores_away() -> None:
    d = chosen(FakeScorer())
    d.session.scoring.score()
    before = d.state.cohort
    d.session.scoring.choose_tolerance(before.wish.tolerance)  # the same
    assert d.state.cohort is before
    d.session.scoring.choose_tolerance(1.0)
    assert (d.state.cohort.scores, d.state.cohort.sums) == ((), None)


def test_no_cases_is_a_fault() -> None:
    d = chosen(FakeScorer(fault=InputError("no file name in common")))
    d.session.scoring.score()
    assert d.state.fault == "no file name in common"
    assert d.state.running is None


def test_a_case_opens_where_it_is_worst() -> None:
    scorer = FakeScorer(image=Path("image.nii"))
    d = chosen(scorer)
    d.session.scoring.choose_tolerance(3.0)
    d.session.scoring.score()
    d.session.scoring.open_case("b")
    names = {key: d.shelf.names[key] for key in d.shelf.alone}
    assert list(names.values()) == ["b", "b · reference", "b · prediction"]
    assert d.shelf.names[d.state.scan_key] == "b"
    assert d.shelf.names[d.state.prediction] == "b · prediction"
    assert d.state.report.rows[0].dice == pytest.approx(0.5)
    assert d.state.tolerance == 3.0
    assert d.state.said.startswith("Error 1 of")
    assert len(d.shelf.visited) == 1


def test_a_case_that_is_open_is_not_opened_again() -> None:
    scorer = FakeScorer()
    d = chosen(scorer)
    d.session.scoring.score()
    for name in ("a", "b", "a"):
        d.session.scoring.open_case(name)
    assert scorer.reads == ["a", "b"]
    assert d.shelf.names[d.state.prediction] == "a · prediction"
    d.shelf.close(d.state.reference)
    d.session.scoring.open_case("a")
    assert scorer.reads == ["a", "b", "a"]


def test_a_case_that_cannot_be_read_leaves_the_view_as_it_is() -> None:
    d = chosen(FakeScorer())
    d.session.scoring.score()
    d.session.scoring.open_case("c")
    assert d.state.fault == "c.nii: the file is damaged"
    assert d.shelf.alone == []
    d.session.scoring.open_case("none")
    d.session.scoring.open_case("")
    assert d.state.running is None


def test_one_thing_at_a_time() -> None:
    scorer = FakeScorer()
    d = chosen(scorer, at_once=False)
    d.session.scoring.score()
    d.session.scoring.score()
    d.session.scoring.open_case("a")
    assert len(d.later.jobs) == 1


def test_the_report() -> None:
    scorer = FakeScorer()
    d = chosen(scorer)
    d.session.scoring.score()
    d.session.scoring.choose_models("flat", "")
    assert not d.state.cohort.wish.names
    d.session.scoring.choose_names(True)
    assert d.state.cohort.wish.names
    assert d.state.cohort.sums is not None  # the scores are the same
    d.session.scoring.write_report(Path("page.html"))
    assert scorer.pages == [(Path("page.html"), ("flat", ""))]
    assert d.state.said == "Wrote the report to page.html."


def test_where_the_work_stands() -> None:
    files = tuple(CaseFiles(name, *WHERE, image=Path("x")) for name in "ab")
    scores = (scored("a", 2), CaseScore("b", error="damaged"))
    cohort = Cohort(files=files, scores=scores, sums=summed_up(scores))
    assert standing(cohort, is_running=True) == ""
    assert standing(cohort, is_running=False) == (
        "2 cases, 1 without a score (the table says why); 2 with an image."
    )


def test_no_scores_at_all_can_be_summed_up() -> None:
    sums = summed_up([CaseScore("a", error="damaged")])
    assert (sums.structures.rows, sums.compared.rows, sums.boxes) == ((), (), {})
