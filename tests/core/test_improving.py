"""What was checked, and the verbs of improving."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_fakes import FakeEngine, FakeLibrary, FakeShelf, a_scan

from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.improve import (
    in_words,
    most_doubtful,
    queue_in_words,
    verdict_of,
)
from napari_segreview.core.labels import LabelMap
from napari_segreview.core.project import open_project
from napari_segreview.core.protocols import (
    Doubts,
    Improved,
    Segmentation,
    VersionRow,
    Wish,
)
from napari_segreview.core.reviews import (
    Mark,
    Review,
    checked_mask,
    checked_slices,
    toggled,
)
from napari_segreview.core.session import Session
from src_models.errors import InputError
from src_models.progress import Curve, Point, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

SHAPE = (3, 6, 7)


def deep_labels() -> LabelMap:
    data = np.zeros(SHAPE, np.uint8)
    data[1, 2:4, 2:4] = 1
    return LabelMap(data=data, grid=Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0)))


# ── marks ──────────────────────────────────────────────────────────────────────────


def test_masks_by_hand() -> None:
    mask = checked_mask([Mark(axis=1, index=4), Mark(index=0)], SHAPE)
    wanted = np.zeros(SHAPE, bool)
    wanted[:, 4] = wanted[0] = True
    assert np.array_equal(mask, wanted)
    box = Mark(kind="box", low=(1, 0, 2), high=(2, 9, 3))
    assert np.argwhere(checked_mask([box], SHAPE)).tolist() == [
        [1, y, 2] for y in range(6)
    ]
    assert checked_mask([Mark(kind="scan")], SHAPE).all()
    assert not checked_mask([], SHAPE).any()


def test_frames_are_checked_one_by_one() -> None:
    marks = [Mark(index=2, frame=1), Mark(kind="scan", frame=0)]
    mask = checked_mask(marks, (4, 3, 5, 6), has_time=True)
    assert mask[0].all()
    assert mask[1, 2].all()
    assert mask.sum() == 3 * 30 + 30
    assert checked_slices(marks, (4, 3, 5, 6), has_time=True) == (4, 12)


marks = st.lists(
    st.builds(Mark, axis=st.integers(0, 2), index=st.integers(0, 8))
    | st.builds(
        Mark,
        kind=st.just("box"),
        low=st.tuples(*[st.integers(-2, 8)] * 3),
        high=st.tuples(*[st.integers(-2, 8)] * 3),
    ),
    max_size=5,
)


@given(marks, marks)
def test_more_marks_check_more_and_order_is_nothing(one: Any, other: Any) -> None:
    both = checked_mask([*one, *other], SHAPE)
    assert np.array_equal(both, checked_mask(one, SHAPE) | checked_mask(other, SHAPE))
    assert np.array_equal(both, checked_mask([*other, *one], SHAPE))


@given(marks)
def test_marks_are_json_both_ways(held: Any) -> None:
    review = Review(labels="x", marks=tuple(held))
    assert Review.model_validate(review.model_dump(mode="json")) == review


def test_a_mark_twice_is_none() -> None:
    mark = Mark(index=3)
    assert toggled(toggled((), mark), mark) == ()


def test_words() -> None:
    labels = deep_labels()
    assert "Nothing is checked" in in_words((), labels)
    assert in_words((Mark(index=1),), labels) == "1 of 3 slices checked"
    assert in_words((Mark(kind="scan"),), labels) == "3 of 3 slices checked"
    box = Mark(kind="box", low=(0, 0, 0), high=(1, 1, 1))
    assert in_words((box,), labels) == "0 of 3 slices and 1 region checked"
    improved = Improved("0001-ab", "rejected", ("part 1 got worse",))
    assert verdict_of(improved).splitlines()[1] == "part 1 got worse"


def test_the_most_doubtful_first() -> None:
    planes = {"a": (1.0, 5.0, 0.0, 3.0, 9.0), "b": (4.0,)}
    found = most_doubtful(planes, {"a": {4}})
    assert [(spot.scan, spot.plane) for spot in found] == [
        ("a", 1),
        ("b", 0),
        ("a", 3),
        ("a", 0),
    ]
    words = queue_in_words(found, {"a": "head", "b": "neck"})
    assert words == "4 planes to look at, most in head (69 %), then neck (31 %)."
    assert queue_in_words(found[:1], {}) == "1 plane to look at."
    assert "sure everywhere" in queue_in_words((), {})


# ── verbs ──────────────────────────────────────────────────────────────────────────

POINTS = (Point(0, 1.0, 0.2), Point(5, 0.5, 0.6))


@dataclass
class Shelf(FakeShelf):
    """Where slice 1 is looked at."""

    at: tuple[int, int, int | None] = (0, 1, None)
    looked: list[tuple[str, int]] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    drags: list[Any] = field(default_factory=list)

    def plane(self, key: str) -> tuple[int, int, int | None]:
        return self.at

    def look(self, key: str, plane: int) -> None:
        self._get(key)
        self.looked.append((key, plane))

    def bind(self, *_: Any) -> None:
        pass

    def release(self, key: str) -> None:
        pass

    def drag_box(self, key: str, then: Any) -> None:
        self.drags.append(then)

    def freeze(self, key: str) -> None:
        self.frozen.append(key)


@dataclass
class Teacher(FakeEngine):
    """Accepts everything it is given."""

    masks: list[Any] = field(default_factory=list)
    active: str = "base"

    def improve(
        self, scan: Any, labels: Any, checked: Any, wish: Any
    ) -> Generator[Progress, None, Improved]:
        yield Curve(1, 2, "step 5", POINTS, 0.6)
        if self.fault is not None:
            raise self.fault
        self.masks.append((checked, wish))
        self.active = "0001-ab"
        return Improved("0001-ab", "accepted", ("better on 4 of 4",))

    def versions(self, model: str) -> tuple[VersionRow, ...]:
        row = VersionRow(id=self.active, title=model, standing="accepted", active=True)
        return (row,)

    def activate(self, model: str, version: str) -> None:
        if version == "bad":
            raise InputError("bad is rejected")
        self.active = version

    def compare_versions(
        self, model: str, version: str, device: str
    ) -> Generator[Progress, None, tuple[str, ...]]:
        yield Progress(1, 1)
        return "rejected", f"{version} is worse"

    def export_version(self, model: str, version: str, path: Path) -> None:
        path.write_text(version)

    def take_version(self, model: str, path: Path) -> str:
        return "0004-gh"

    def version_wish(self, model: str, version: str, device: str) -> Wish:
        return Wish(model=f"{model}@{version}", device=device)

    def segment(self, scan: Any, wish: Any) -> Generator[Progress, None, Segmentation]:
        self.wishes.append(wish)
        yield Progress(1, 1)
        return Segmentation(deep_labels(), "done")

    def doubts(self, scan: Any, wish: Any) -> Generator[Progress, None, Doubts]:
        yield Progress(1, 1)
        if scan.name == "neck":
            return Doubts((0.0, 0.0, 5.0), np.zeros(SHAPE, "f4"))
        return Doubts((1.0, 9.0, 3.0), np.zeros(SHAPE, "f4"))


class Window:
    """A session that corrects a 3D layer."""

    def __init__(
        self, root: Path, submit: Callable[..., None], *, choose: bool = True
    ) -> None:
        self.shelf, self.engine = Shelf(), Teacher()
        ticks = iter(range(10_000))
        self.session = Session(
            self.engine,
            self.shelf,
            FakeLibrary(),
            submit,
            cases=Cases(root),
            clock=lambda: float(next(ticks)),
        )
        self.shelf.tell = self.session.layers_changed
        self.shelf.add(a_scan(flat=False))
        self.key = self.shelf.add(deep_labels()).key
        if choose:
            self.session.correcting.choose(self.key)
        self.verbs = self.session.improving

    @property
    def improve(self) -> Any:
        return self.session.state.improve


@pytest.fixture
def window(tmp_path: Path) -> Window:
    return Window(tmp_path, lambda job: job.run())


def test_the_slice_in_sight_is_marked_and_counted(window: Window) -> None:
    assert "Nothing" in window.improve.said
    window.verbs.mark_slice()
    window.shelf.at = (0, 2, None)
    window.verbs.mark_slice()
    assert window.improve.said == "2 of 3 slices checked"
    window.verbs.mark_slice()  # again: taken back
    assert window.improve.marks_of(window.key) == (Mark(index=1),)


def test_improving_learns_from_what_was_checked(window: Window) -> None:
    window.verbs.mark_slice()
    window.verbs.choose_budget(10.0)
    window.verbs.choose_loss("tversky")
    window.verbs.improve()
    ((mask, wish),) = window.engine.masks
    assert mask[1].all()
    assert mask.sum() == 42
    assert (wish.model, wish.budget_seconds, wish.loss) == ("deep", 600, "tversky")
    assert window.improve.points == POINTS
    assert "now active" in window.improve.verdict
    assert [row.id for row in window.improve.versions] == ["0001-ab"]
    assert window.session.state.said.startswith("Candidate 0001-ab")


def test_a_fault_is_said_and_the_list_is_read_again(window: Window) -> None:
    window.engine.fault = InputError("no structure was checked")
    window.verbs.mark_scan()
    window.verbs.improve()
    assert window.session.state.fault == "no structure was checked"
    assert window.improve.verdict == ""


def test_versions_are_chosen_and_tried(window: Window, tmp_path: Path) -> None:
    verbs = window.session.versioning
    verbs.activate("0002-cd")
    assert window.engine.active == "0002-cd"
    assert "0002-cd is now" in window.session.state.said
    verbs.activate("bad")
    assert window.session.state.fault == "bad is rejected"
    verbs.try_version("0003-ef")
    assert window.engine.wishes[-1].model == "deep@0003-ef"
    assert window.engine.active == "0002-cd"
    verbs.compare("0003-ef")
    assert window.improve.verdict == "rejected\n0003-ef is worse"
    verbs.export("0003-ef", tmp_path / "one.zip")
    assert "Saved 0003-ef" in window.session.state.said
    verbs.export("0003-ef", tmp_path / "no folder" / "one.zip")
    assert "No such file" in window.session.state.fault
    verbs.take(tmp_path / "one.zip")
    assert window.session.state.said == "Kept as 0004-gh, not active."


def test_next_to_correct_goes_by_doubt(window: Window) -> None:
    window.verbs.mark_slice()  # plane 1, the most doubtful, is checked already
    head = window.session.state.scan_key
    window.session.doubting.go_next()
    window.session.doubting.go_next()
    assert window.shelf.looked == [(head, 2), (head, 0)]
    assert window.shelf.shown == [("doubts", head)]


def test_all_open_scans_that_the_model_reads_are_ranked(window: Window) -> None:
    session, head = window.session, window.session.state.scan_key
    neck = window.shelf.add(a_scan("neck", flat=False)).key
    window.shelf.add(a_scan("flat"))  # the model reads 3D only
    session.choose_scan(head)
    session.choose_model("deep")
    session.doubting.go_next()
    assert "most in head (72 %), then neck (28 %)" in session.state.said
    session.doubting.go_next()
    assert window.shelf.looked == [(head, 1), (neck, 2)]
    assert session.state.scan_key == neck
    session.choose_model("flat")
    assert session.state.improve.queue == ()
    session.choose_model("deep")
    session.doubting.go_next()
    del window.shelf.layers[neck]
    session.layers_changed()
    session.doubting.go_next()  # the one in the closed scan is passed over
    assert window.shelf.looked[-1] == (head, 2)


def test_without_labels_it_says_what_to_do(tmp_path: Path) -> None:
    window = Window(tmp_path, lambda job: job.run())
    window.session.correcting.choose("")
    for verb in (window.verbs.mark_slice, window.verbs.improve):
        verb()
        assert window.session.state.fault == "choose the labels that you correct first"


def test_cancelled_the_window_reads_the_versions_again(tmp_path: Path) -> None:
    jobs: list[Any] = []
    window = Window(tmp_path, jobs.append)
    window.verbs.mark_scan()
    window.verbs.improve()
    window.engine.active = "0009-stopped"  # as the engine does with the best so far
    window.session.cancel()
    jobs.pop().run()
    assert window.session.state.said == "Stopped."
    assert [row.id for row in window.improve.versions] == ["0009-stopped"]


def test_a_region_is_dragged_and_the_latest_mark_taken_back(window: Window) -> None:
    window.verbs.mark_slice()
    window.verbs.mark_region()
    assert "Drag a rectangle" in window.session.state.said
    (then,) = window.shelf.drags
    then(((slice(1, 2), slice(2, 4), slice(0, 7)), None))
    box = Mark(kind="box", low=(1, 2, 0), high=(2, 4, 7))
    assert window.improve.marks_of(window.key) == (Mark(index=1), box)
    window.verbs.take_back()
    window.verbs.take_back()
    assert window.improve.marks_of(window.key) == ()
    window.verbs.take_back()
    assert window.session.state.fault == "nothing is marked in these labels"


def test_a_killed_program_loses_no_mark(tmp_path: Path) -> None:
    window = Window(tmp_path / "a", lambda job: job.run())
    window.verbs.mark_slice()
    window.session.correcting.save_project(tmp_path / "case.segreview")
    (keeper,) = window.session._keeping.keepers()
    keeper._leave()  # as a killed process does
    later = Window(tmp_path / "a", lambda job: job.run(), choose=False)
    later.session.correcting.restore(later.session.state.work.leftovers[0].key)
    key = later.session.state.work.layer
    assert later.improve.marks_of(key) == (Mark(index=1),)
    assert later.improve.said == "1 of 3 slices checked"
    other = Window(tmp_path / "b", lambda job: job.run(), choose=False)
    other.session.correcting.open_project(tmp_path / "case.segreview")
    key = other.session.state.work.layer
    assert other.improve.marks_of(key) == (Mark(index=1),)
    (review,) = open_project(tmp_path / "case.segreview").manifest.reviews
    assert Review.model_validate(review).marks == (Mark(index=1),)


def test_labels_are_copied_before_they_teach(tmp_path: Path) -> None:
    """A stroke during the run must not reach it."""
    seen: list[Any] = []

    class Slow(Teacher):
        def improve(self, scan: Any, labels: Any, checked: Any, wish: Any) -> Any:
            seen.append(labels.data)
            return super().improve(scan, labels, checked, wish)

    window = Window(tmp_path, lambda job: job.run())
    window.session.improving._engine = Slow()
    window.verbs.mark_scan()
    window.verbs.improve()
    window.shelf.label_map(window.key).data[:] = 7
    assert replace(deep_labels(), data=seen[0]).data.max() == 1
