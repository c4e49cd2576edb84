"""Long work: one at a time, its answer where it belongs, its faults in one line."""

from __future__ import annotations

import csv
import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from session_fakes import Desk, a_scan, desk, some_labels

from napari_segreview.core.protocols import Wish
from napari_segreview.core.state import Running, view
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

HEAD = a_scan("head")
ONE, TWO = some_labels("one", 3), some_labels("two", 4)


def idle(one: Desk) -> bool:
    return one.state.running is None and not view(one.state).busy


# ── open ───────────────────────────────────────────────────────────────────────────


def test_files_become_layers() -> None:
    one = desk()
    one.session.open([Path("a.nii"), Path("x/both.nii")])
    assert [ref.name for ref in one.state.images] == ["a", "b"]
    assert [ref.name for ref in one.state.labels] == ["b truth"]
    assert one.state.said == "Opened a.nii, both.nii."
    assert idle(one)


def test_what_was_opened_is_taken_up() -> None:
    one = desk(HEAD)
    one.session.open([Path("a.nii"), Path("both.nii")])
    assert one.state.scan.name == "b"


def test_a_file_that_is_not_there_is_said_and_nothing_opened() -> None:
    one = desk()
    one.session.open([Path("a.nii"), Path("b.nii")])
    assert one.state.fault == "b.nii: there is no such file or folder"
    assert one.state.images == ()
    assert idle(one)


def test_a_sample_is_opened_by_its_title() -> None:
    one = desk(at_once=False)
    one.session.open_sample("both.nii")
    assert view(one.state).status == "Opening A sample…"
    one.later.run()
    assert one.state.said == "Opened A sample."
    assert len(one.state.images) == len(one.state.labels) == 1


# ── segment ────────────────────────────────────────────────────────────────────────


def test_labels_come_beside_the_scan_and_are_offered_for_comparison() -> None:
    one = desk(HEAD, ONE)
    one.session.segment()
    assert one.shelf.beside == ["key 0"]
    assert [ref.name for ref in one.state.labels] == ["one", "head · model"]
    assert (one.state.prediction, one.state.reference) == ("key 2", "key 1")
    assert one.state.said == "Found a blob."
    assert view(one.state).may_compare
    assert idle(one)


def test_a_second_answer_is_the_new_prediction() -> None:
    one = desk(HEAD, ONE)
    one.session.segment()
    one.session.segment()
    assert (one.state.prediction, one.state.reference) == ("key 3", "key 1")


def test_without_other_labels_there_is_no_reference_yet() -> None:
    one = desk(HEAD)
    one.session.segment()
    assert (one.state.prediction, one.state.reference) == ("key 1", "")
    one.shelf.add(ONE)
    assert (one.state.prediction, one.state.reference) == ("key 1", "key 2")


def test_the_wish_is_what_was_chosen() -> None:
    one = desk(HEAD)
    one.session.choose_device("cpu")
    one.session.choose_mirror(True)
    one.session.segment()
    assert one.engine.wishes == [Wish(model="flat", device="cpu", mirror=True)]


def test_mirroring_is_not_asked_of_a_model_without_it() -> None:
    one = desk(a_scan("deep", flat=False))
    one.session.choose_mirror(True)
    one.session.segment()
    assert one.engine.wishes[0].mirror is False


def test_without_a_scan_or_with_a_misfit_nothing_starts() -> None:
    one = desk()
    one.session.segment()
    one = desk(HEAD)
    one.session.choose_model("deep")
    one.session.segment()
    assert one.engine.wishes == []
    assert idle(one)


def test_the_layer_is_looked_at_again_when_a_run_starts() -> None:
    one = desk(HEAD)
    one.shelf.layers["key 0"] = a_scan("head, windowed")
    one.session.segment()
    assert [ref.name for ref in one.state.labels] == ["head, windowed · model"]
    one.shelf.broken["key 0"] = "head: it was scaled; set its scale back"
    one.session.segment()
    assert len(one.engine.wishes) == 1
    assert view(one.state).why_not_segment == one.shelf.broken["key 0"]


def test_no_other_model_is_run_than_the_one_chosen() -> None:
    one = desk(HEAD)
    one.shelf.layers["key 0"] = a_scan("head, stacked", flat=False)
    one.session.segment()
    assert one.engine.wishes == []
    assert one.state.model == "flat"
    assert view(one.state).why_not_segment == "reads 2D."


def test_a_scan_closed_meanwhile_still_gets_its_answer_shown() -> None:
    one = desk(HEAD, at_once=False)
    one.session.segment()
    one.shelf.close("key 0")
    one.later.run()
    assert [ref.name for ref in one.state.labels] == ["head · model"]
    assert one.state.said == "Found a blob."
    assert (one.state.scan, one.state.fault) == (None, "")
    assert idle(one)


def test_another_scan_chosen_meanwhile_the_answer_lies_beside_its_own() -> None:
    one = desk(HEAD, a_scan("hand"), at_once=False)
    one.session.segment()
    one.session.choose_scan("key 1")
    one.later.run()
    assert one.shelf.beside == ["key 0"]
    assert one.state.scan_key == "key 1"


def test_progress_is_told_in_the_status() -> None:
    one = desk(HEAD, at_once=False)
    seen: list[str] = []
    one.session.changed.connect(lambda _, new: seen.append(view(new).status))
    one.session.segment()
    one.later.run()
    assert seen[0] == "Segmenting head…"
    assert seen[1] == "Segmenting head: window 1, 2 s left"  # a tick a step
    assert seen[3] == "Segmenting head: window 3, 0 s left"


def test_only_one_job_at_a_time() -> None:
    one = desk(HEAD, ONE, TWO, at_once=False)
    one.session.segment()
    for verb in (one.session.segment, one.session.compare):
        verb()
    one.session.open([Path("a.nii")])
    one.session.open_sample("both.nii")
    assert len(one.later.jobs) == 1
    assert one.state.running.kind == "segment"
    one.later.run()
    one.session.compare()
    assert len(one.later.jobs) == 1


def test_an_old_word_goes_when_new_work_begins() -> None:
    one = desk(HEAD, at_once=False)
    one.session.open([Path("none.nii")])
    one.later.run()
    assert view(one.state).is_fault
    one.session.segment()
    assert (one.state.fault, one.state.said) == ("", "")


# ── cancel ─────────────────────────────────────────────────────────────────────────


def test_cancel_before_the_first_step() -> None:
    one = desk(HEAD, at_once=False)
    one.session.segment()
    one.session.cancel()
    assert view(one.state).status == "Segmenting head: stopping…"
    assert not view(one.state).may_cancel
    one.session.cancel()  # twice does no harm
    one.later.run()
    assert one.state.said == "Stopped."
    assert one.state.labels == ()
    assert idle(one)


def test_cancel_midway_is_not_overwritten_by_progress() -> None:
    one = desk(HEAD, at_once=False)
    seen: list[Running | None] = []

    def stop(_: object, new: object) -> None:
        seen.append(one.state.running)
        if one.state.running and one.state.running.done == 2:
            one.session.cancel()

    one.session.segment()
    one.session.changed.connect(stop)
    one.later.run()
    assert one.state.said == "Stopped."
    assert max(run.done for run in seen if run) == 2
    assert one.engine.closed == 1
    one.session.changed.disconnect(stop)
    one.session.segment()
    one.later.run()
    assert one.state.said == "Found a blob."


def test_a_step_that_ends_after_cancel_changes_nothing_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = desk(HEAD, at_once=False)

    def steps(*_: object) -> Generator[Progress, None, None]:
        one.session.cancel()  # the user, while this step is under way
        yield Progress(1, 3, "window 1")

    monkeypatch.setattr(one.engine, "segment", steps)
    seen: list[str] = []
    one.session.changed.connect(lambda _, new: seen.append(view(new).status))
    one.session.segment()
    one.later.run()
    assert seen == ["Segmenting head…", "Segmenting head: stopping…", "Stopped."]


def test_cancel_without_work_is_nothing() -> None:
    one = desk(HEAD)
    before = one.state
    one.session.cancel()
    assert one.state == before


# ── faults ─────────────────────────────────────────────────────────────────────────

PROGRAM = "Something went wrong in the program ({}). Nothing was changed; the log has "


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("head: 3 voxels are NaN"), "head: 3 voxels are NaN"),
        (OSError(errno.ENOSPC, "No space left", "a.nii"), "a.nii: the disk is full"),
        (OSError(errno.EROFS, "Read-only"), "the disk is read-only"),
        (OSError(errno.ENOENT, "No such file", "a.nii"), "a.nii: No such file"),
        (OSError("a.nii was not saved"), "a.nii was not saved"),
        (
            RuntimeError("bad shape\nat layer 3"),
            PROGRAM.format("RuntimeError: bad shape"),
        ),
        (KeyError(), PROGRAM.format("KeyError: no message")),
        (ValueError("\n"), PROGRAM.format("ValueError: no message")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_is_one_line(error: Exception, line: str) -> None:
    one = desk(HEAD)
    one.engine.fault = error
    one.session.segment()
    assert one.state.fault.startswith(line)
    assert "\n" not in one.state.fault
    assert view(one.state).is_fault
    assert one.state.labels == ()
    assert idle(one)


@pytest.mark.parametrize("verb", ["open", "segment"])
def test_an_answer_that_cannot_be_shown_is_said_and_work_can_go_on(verb: str) -> None:
    one = desk(HEAD)
    one.shelf.broken["add"] = "the labels do not fit"
    if verb == "open":
        one.session.open([Path("a.nii")])
    else:
        one.session.segment()
    assert one.state.fault == "the labels do not fit"
    assert idle(one)
    del one.shelf.broken["add"]
    one.session.segment()
    assert one.state.said == "Found a blob."


def test_a_fault_of_the_program_while_showing_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = desk(HEAD)
    monkeypatch.setattr(one.shelf, "show", lambda *_: 1 / 0)
    one.session.segment()
    assert one.state.fault.startswith(
        PROGRAM.format("ZeroDivisionError: division by zero")
    )
    assert caplog.records[0].exc_info is not None
    assert idle(one)


# ── compare ────────────────────────────────────────────────────────────────────────


def test_compare_by_hand() -> None:
    one = desk(ONE, TWO)  # 3×3 and 3×4 pixels, 9 in common
    one.session.compare()
    assert one.state.report.rows[0].dice == pytest.approx(18 / 21)
    assert one.state.report.prediction == "two"
    assert one.state.said == "Compared two with one."
    assert idle(one)


@pytest.mark.parametrize("change", ["pair", "tolerance", "close"])
def test_a_choice_changed_meanwhile_drops_the_answer(change: str) -> None:
    one = desk(ONE, TWO, some_labels("three"), at_once=False)
    one.session.compare()
    if change == "pair":
        one.session.choose_pair("key 2", "key 0")
    elif change == "tolerance":
        one.session.choose_tolerance(5.0)
    else:
        one.shelf.close("key 1")
    one.later.run()
    assert one.state.report is None
    assert one.state.said == "The choice changed meanwhile: press Compare again."
    assert idle(one)


def test_a_layer_that_is_gone_is_said_at_once() -> None:
    one = desk(ONE, TWO)
    one.shelf.broken["key 0"] = "that layer was closed; choose another one"
    one.session.compare()
    assert one.state.fault == "that layer was closed; choose another one"
    assert idle(one)


def test_one_label_layer_is_not_compared() -> None:
    one = desk(ONE)
    one.session.compare()
    assert (one.state.report, one.state.running) == (None, None)


# ── save ───────────────────────────────────────────────────────────────────────────


def test_scores_are_saved(tmp_path: Path) -> None:
    one = desk(ONE, TWO)
    path = tmp_path / "scores.csv"
    one.session.save_report(path)  # nothing to save yet
    assert not path.exists()
    one.session.compare()
    one.session.save_report(path)
    rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    assert float(next(rows)["Dice"]) == pytest.approx(18 / 21)
    assert one.state.said == f"Saved the scores to {path}."


def test_an_unwritable_place_is_said(tmp_path: Path) -> None:
    one = desk(ONE, TWO)
    one.session.compare()
    path = tmp_path / "missing" / "scores.csv"
    one.session.save_report(path)
    assert str(path) in one.state.fault
    assert view(one.state).is_fault
    assert one.state.report is not None
