"""Click to segment without a window: prompts in, labels out, every step undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click_fakes import SHAPE, Desk, dabs, point, volume
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segreview.core.asking import plane_mask
from napari_segreview.core.clicks import amount, click_view
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from src_models.errors import InputError


def line(desk: Desk) -> str:
    return click_view(desk.clicks, desk.scan.grid).line


def test_a_click_says_what_it_changed() -> None:
    desk = Desk()
    assert line(desk) == ""
    desk.click(1, 3, 3)
    assert line(desk) == "1 click · 9.00 ml (+9.00)"
    desk.click(1, 3, 4, positive=False)
    assert line(desk) == "2 clicks · 3.00 ml (−6.00)"
    desk.click(2, 3, 3)
    assert line(desk) == "3 clicks · 12.0 ml (+9.00)"
    desk.clicking.undo()
    assert line(desk) == "2 clicks · 3.00 ml (−6.00)"
    desk.clicking.prompt(Scribble(Plane(0, 2), ((2.0, 3.0, 3.0), (2.0, 3.0, 4.0))))
    assert line(desk).startswith("3 marks")
    assert not desk.shelf.written


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (Grid.from_spacing((9, 9), (1.0, 1.0), "px"), "37 px"),
        (Grid.from_spacing((9, 9), (0.5, 0.5)), "9.25 mm²"),
        (Grid.from_spacing((9, 9, 9), (1.0, 1.0, 1.0)), "0.037 ml"),
        (Grid.from_spacing((9, 9, 9), (100.0, 10.0, 100.0)), "3700 ml"),
    ],
)
def test_amounts_have_units(grid: Grid, said: str) -> None:
    assert amount(37, grid) == said


def test_questions_carry_all_prompts_of_their_plane_and_the_mask_so_far() -> None:
    desk = Desk()
    desk.click(1, 3, 3)
    desk.click(2, 3, 3)
    desk.click(1, 0, 0, positive=False)
    first, _, last = desk.engine.questions
    assert first.previous is None
    assert first.base is None
    assert last.prompts == (point(1, 3, 3), point(1, 0, 0, False))
    assert last.previous.sum() == 9
    assert last.base is None


def test_a_slice_that_others_cross_is_looked_at_anew() -> None:
    """Their lines stay, but are no mask that the first answer has to resemble."""
    desk = Desk()
    desk.click(1, 3, 3)
    across = Point(Plane(1, 3), (1.0, 3.0, 3.0))
    desk.clicking.prompt(across)
    question = desk.engine.questions[-1]
    assert question.previous is None
    assert question.base is None
    assert line(desk) == "2 clicks · 15.0 ml (+6.00)"  # 9 and 9 voxels, 3 in common
    desk.clicking.prompt(Point(Plane(1, 3), (3.0, 3.0, 6.0)))
    assert desk.engine.questions[-1].previous.sum() == 9
    assert desk.engine.questions[-1].base is None


def test_a_slice_that_others_cross_keeps_what_they_found() -> None:
    desk = Desk()
    desk.click(0, 3, 1)
    desk.clicking.prompt(Point(Plane(1, 3), (3.0, 3.0, 6.0)))
    assert plane_mask(desk.scan, desk.clicks.done, Plane(0, 0)).sum() == 9
    desk.clicking.prompt(Point(Plane(1, 3), (0.0, 3.0, 1.0), positive=False))
    assert plane_mask(desk.scan, desk.clicks.done, Plane(0, 0)).sum() == 6


def test_what_does_not_belong_is_first_told_where_slices_cross() -> None:
    desk = Desk()
    desk.click(1, 3, 3)
    desk.clicking.prompt(Point(Plane(1, 3), (1.0, 3.0, 3.0), positive=False))
    assert desk.engine.questions[-1].previous.sum() == 3
    assert line(desk) == "2 clicks · 6.00 ml (−3.00)"


@pytest.mark.parametrize(
    "prompt",
    [
        Box(Plane(0, 1), (1.0, 1.0, 1.0), (1.0, 4.0, 4.0)),
        Lasso(Plane(0, 1), ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), (1.0, 4.0, 4.0))),
    ],
)
def test_a_volume_is_not_marked_with_what_lies_in_a_slice(prompt: Box | Lasso) -> None:
    desk = Desk()
    desk.clicking.choose_whole(True)
    desk.clicking.prompt(prompt)
    assert "turn “In 3D” off" in desk.session.state.fault
    assert desk.clicks.done == ()
    places = ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0))
    desk.clicking.prompt(Scribble(Plane(0, 1), places))
    assert len(desk.clicks.done) == 1


def test_a_click_on_the_whole_volume() -> None:
    desk = Desk()
    desk.clicking.choose_whole(True)
    desk.click(1, 3, 3)
    assert line(desk) == "1 click · 27.0 ml (+27.0)"
    desk.click(2, 3, 3, positive=False)
    assert [one.plane for one in desk.engine.questions] == [Plane(None)] * 2
    assert desk.engine.questions[1].previous.shape == SHAPE
    shown = click_view(desk.clicks, desk.scan.grid)
    assert shown.may_whole
    assert not shown.may_through  # there is no slice to start from
    desk.clicking.choose_whole(False)
    desk.click(0, 0, 0)
    assert desk.engine.questions[2].plane == Plane(0, 0)
    assert desk.engine.questions[2].base.any()  # the volume's own slice
    desk.clicking.undo()
    desk.clicking.accept()
    assert desk.shelf.written


def test_accepting_writes_one_step_and_begins_anew() -> None:
    desk = Desk()
    desk.click(0, 3, 3)
    desk.click(2, 3, 3)
    desk.clicking.accept()
    assert desk.shelf.written == [("click", 1)]
    assert (desk.labels == 1).sum() == 18
    assert (desk.labels[1] == 1).sum() == 0
    assert desk.clicks.done == ()
    assert desk.session.state.said == "18.0 ml is liver."


def test_finished_labels_are_protected_when_asked() -> None:
    for protect, left in ((True, 4), (False, 0)):
        desk = Desk()
        desk.clicking.choose_protect(protect)
        desk.click(1, 1, 1)
        desk.clicking.accept()
        assert (desk.labels == 2).sum() == left
        assert (desk.labels == 1).sum() == 9 - left
        said = " 4.00 ml stayed with other labels." if protect else ""
        assert desk.session.state.said == f"{9 - left}.00 ml is liver.{said}"


def test_a_label_is_taken_up_and_mended() -> None:
    desk = Desk()
    desk.clicking.take_up(2)
    assert line(desk) == "0 clicks · 4.00 ml"
    desk.click(1, 0, 0, positive=False)
    assert desk.engine.questions[-1].base.sum() == 4
    desk.click(1, 4, 4)
    desk.clicking.accept()
    assert (desk.labels == 2).sum() == 9
    assert not (desk.labels == 1).any()
    assert desk.labels[1, 0, 0] == 0


def test_what_was_taken_up_may_become_another_label() -> None:
    desk = Desk()
    desk.clicking.take_up(2)
    desk.clicking.choose_label(1)
    desk.clicking.accept()
    assert (desk.labels == 1).sum() == 4
    assert not (desk.labels == 2).any()


def test_after_undoing_the_taking_up_the_label_is_safe() -> None:
    desk = Desk()
    desk.clicking.take_up(2)
    desk.clicking.undo()
    desk.clicking.choose_label(1)
    desk.click(1, 4, 4)
    desk.clicking.accept()
    assert (desk.labels == 2).sum() == 4


def test_labels_that_cannot_be_taken_up() -> None:
    desk = Desk()
    desk.clicking.take_up(7)
    assert desk.session.state.fault == "There is nothing of label 7 in these labels."
    desk.click(1, 4, 4)
    desk.clicking.take_up(2)
    assert desk.session.state.fault.startswith("Accept or reset the object")


def test_a_new_label_is_named_in_the_layer() -> None:
    desk = Desk()
    desk.clicking.new_label("tumour")
    assert desk.clicks.label == 3
    desk.click(1, 4, 4)
    desk.clicking.accept()
    assert desk.shelf.label_map(desk.key).table.name(3) == "tumour"
    assert (desk.labels == 3).sum() == 9
    desk.clicking.new_label()
    assert desk.clicks.label == 4


def test_thousands_of_labels() -> None:
    desk = Desk(dtype=np.uint16)
    desk.labels[3].flat = np.arange(5000, 5042)
    desk.clicking.new_label("one more")
    assert desk.clicks.label == 5042
    desk.click(1, 4, 4)
    desk.clicking.accept()
    assert (desk.labels == 5042).sum() == 9


def test_a_new_label_can_be_left_and_chosen_again() -> None:
    desk = Desk()
    desk.clicking.new_label("tumour")
    desk.clicking.choose_label(1)
    desk.click(1, 3, 3)
    desk.clicking.accept()
    desk.clicking.choose_tool("point")
    choices = click_view(desk.clicks, desk.scan.grid).choices
    assert choices == ((1, "liver"), (2, "vein"), (3, "tumour"))


def test_labels_without_a_name_can_be_chosen_and_mended() -> None:
    """Few files name their labels."""
    desk = Desk()
    bare = LabelMap(
        data=np.arange(168, dtype=np.uint8).reshape(SHAPE) % 4 * 3,
        grid=desk.scan.grid,
        table=LabelTable(),
        name="bare",
    )
    desk.correct(desk.shelf.add(bare).key)
    shown = click_view(desk.clicks, desk.scan.grid)
    assert shown.choices == tuple((n, f"label {n}") for n in (1, 3, 6, 9))
    desk.clicking.choose_label(6)
    desk.clicking.take_up(6)
    assert line(desk).startswith("0 clicks · 42.0 ml")
    desk.clicking.reset()
    desk.clicking.choose_label(4)
    desk.click(1, 3, 3)
    desk.clicking.choose_protect(False)
    desk.clicking.accept()
    desk.clicking.choose_label(9)
    choices = click_view(desk.clicks, desk.scan.grid).choices
    assert [value for value, _ in choices] == [3, 4, 6, 9]


def test_a_value_that_the_labels_cannot_hold_is_refused() -> None:
    desk = Desk()
    desk.clicking.choose_label(300)
    desk.click(1, 4, 4)
    before = desk.labels.copy()
    desk.clicking.accept()
    assert desk.session.state.fault.startswith("These labels hold values up to 255")
    assert np.array_equal(desk.labels, before)
    assert len(desk.clicks.done) == 1  # nothing is lost
    desk.clicking.choose_label(0)
    assert desk.clicks.label == 300


def test_labels_of_another_scan_are_not_written_to() -> None:
    desk = Desk()
    other = desk.shelf.add(volume("other"))
    odd = Grid.from_spacing((4, 6, 7), (1.0, 1.0, 1.0))
    desk.shelf.layers[other.key] = type(desk.scan)(
        data=np.zeros(SHAPE, np.uint8), grid=odd, name="other"
    )
    desk.session.choose_scan(other.key)
    before = desk.labels.copy()
    desk.click(1, 4, 4)
    desk.clicking.accept()
    assert np.array_equal(desk.labels, before)
    new = list(desk.shelf.layers)[-1]
    assert desk.shelf.names[new] == "other · clicks"
    assert (desk.shelf.label_map(new).data == 1).sum() == 9


@pytest.mark.parametrize("at", [(1, 9, 3), (1, -1, 3), (9, 3, 3)])
def test_a_click_outside_is_said(at: tuple[int, int, int]) -> None:
    desk = Desk()
    desk.click(*at)
    assert desk.session.state.fault == "Click inside the image."
    assert desk.clicks.done == ()


def test_taking_a_tool_gets_the_engine_ready_once() -> None:
    desk = Desk()
    desk.engine.wrong = InputError("no server")
    desk.clicking.choose_tool("box")
    desk.clicking.leave()
    desk.clicking.choose_tool("point")
    assert desk.engine.warmed == 1
    assert desk.clicks.tool == "point"
    assert desk.session.state.fault == ""  # told when something is asked


def test_without_a_scan() -> None:
    desk = Desk()
    desk.shelf.close(desk.image)
    desk.click(1, 3, 3)
    assert desk.session.state.fault == "Open a scan first."
    for verb in ("accept", "through", "undo", "redo", "reset"):
        getattr(desk.clicking, verb)()
    assert desk.clicks.done == ()


# ── answers that take their time ───────────────────────────────────────────────


def test_the_newest_click_wins() -> None:
    desk = Desk(at_once=False)
    for x in (1, 3, 5):
        desk.click(1, 3, x)
    assert len(desk.later.jobs) == 1
    desk.drain()
    assert len(desk.engine.questions) == 2  # the second was overtaken
    assert len(desk.engine.questions[-1].prompts) == 3
    assert line(desk).startswith("3 clicks · 21.0 ml")
    desk.clicking.undo()  # to the one that was overtaken: asked for now
    desk.drain()
    assert line(desk).startswith("2 clicks · 15.0 ml")


def test_clicks_in_other_slices_are_all_answered() -> None:
    desk = Desk(at_once=False)
    for z in (0, 1, 2, 3):
        desk.click(z, 3, 3)
    desk.drain()
    assert line(desk).startswith("4 clicks · 36.0 ml")


def test_the_answer_to_an_undone_click_is_dropped() -> None:
    desk = Desk(at_once=False)
    desk.click(1, 3, 3)
    desk.clicking.undo()
    desk.drain()
    assert desk.clicks.done == ()
    assert line(desk) == ""
    desk.click(1, 0, 0)
    desk.drain()
    assert line(desk) == "1 click · 4.00 ml (+4.00)"


def test_nothing_is_accepted_while_an_answer_is_awaited() -> None:
    desk = Desk(at_once=False)
    desk.click(1, 3, 3)
    assert line(desk) == "1 click · looking…"
    assert not click_view(desk.clicks, desk.scan.grid).may_accept
    desk.clicking.accept()
    assert not desk.shelf.written


@pytest.mark.parametrize("how", ["close", "other voxels", "another scan", "broken"])
def test_the_layer_changes_while_it_is_looked_at(how: str) -> None:
    desk = Desk(at_once=False)
    desk.click(1, 3, 3)
    if how == "close":
        desk.shelf.close(desk.image)
    elif how == "other voxels":
        desk.shelf.layers[desk.image] = volume()
    elif how == "broken":
        desk.shelf.broken[desk.image] = "that layer was closed; choose another one"
    else:
        desk.session.choose_scan(desk.shelf.add(volume("other")).key)
    desk.drain()
    assert desk.clicks.done == ()
    assert not desk.clicks.waiting
    assert "dropped" in desk.session.state.said
    desk.clicking.accept()
    assert not desk.shelf.written


def test_a_fault_takes_its_click_back() -> None:
    desk = Desk()
    desk.click(1, 3, 3)
    for wrong, said in (
        (InputError("wanted this, got that"), "wanted this, got that"),
        (RuntimeError("shape"), "Something went wrong in the program (RuntimeError"),
    ):
        desk.engine.wrong = wrong
        desk.click(1, 5, 5)
        assert desk.session.state.fault.startswith(said)
        assert len(desk.clicks.done) == 1
    desk.engine.wrong = None
    desk.click(1, 5, 5)
    assert len(desk.clicks.done) == 2


def test_the_fault_of_an_undone_click_is_not_told() -> None:
    desk = Desk(at_once=False)
    desk.click(1, 3, 3)
    desk.clicking.undo()
    desk.engine.wrong = InputError("wanted this, got that")
    desk.later.run()
    assert desk.session.state.fault == ""
    assert not desk.clicks.waiting


# ── through slices ─────────────────────────────────────────────────────────────


def test_through_slices_is_a_step_like_others() -> None:
    desk = Desk()
    desk.clicking.through()
    assert desk.session.state.fault.startswith("Click the structure in at least one")
    desk.click(1, 3, 3)
    desk.clicking.through()
    assert desk.session.state.said == "Found it in 3 more slices."
    assert line(desk) == "1 click · 36.0 ml (+27.0)"
    desk.click(3, 3, 3, positive=False)  # mend a slice that was filled in
    assert desk.engine.questions[-1].base.sum() == 9
    assert line(desk) == "2 clicks · 27.0 ml (−9.00)"
    desk.clicking.undo()
    desk.clicking.undo()
    assert desk.session.state.said == ""
    assert line(desk) == "1 click · 9.00 ml (+9.00)"
    desk.clicking.redo()
    desk.clicking.accept()
    assert (desk.labels == 1).sum() == 36
    assert len(desk.shelf.written) == 1


def test_a_reset_can_be_redone() -> None:
    desk = Desk()
    desk.click(1, 3, 3)
    desk.click(2, 3, 3)
    desk.clicking.reset()
    assert line(desk) == ""
    desk.clicking.redo()
    assert line(desk).startswith("1 click")
    desk.clicking.redo()
    assert line(desk).startswith("2 clicks · 18.0 ml")


# ── any sequence equals a plain model ──────────────────────────────────────────

clicked = st.tuples(
    st.just("click"),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(0, 6),
    st.booleans(),
)
others = st.sampled_from(["undo", "redo", "reset", "accept", "answer"]).map(
    lambda word: (word,)
)


@settings(max_examples=150)
@given(st.lists(clicked | others, max_size=25), st.booleans(), st.booleans())
def test_any_sequence_equals_a_plain_model(
    steps: list[tuple[Any, ...]], at_once: bool, protect: bool
) -> None:
    desk = Desk(at_once=at_once)
    desk.clicking.choose_protect(protect)
    labels, done, undone = desk.labels.copy(), [], []
    for word, *facts in steps:
        if word == "click":
            desk.click(*facts)
            done, undone = [*done, point(*facts)], []
        elif word == "answer":
            if desk.later.jobs:
                desk.later.run()
        elif word == "accept":
            desk.drain()
            desk.clicking.accept()
            mask = model_mask(done)
            if protect:
                mask &= labels != 2
            labels[mask] = 1
            if done:
                done, undone = [], []
        else:
            getattr(desk.clicking, word)()
            if word == "undo" and done:
                undone.append(done.pop())
            elif word == "redo" and undone:
                done.append(undone.pop())
            elif word == "reset":
                undone, done = undone + done[::-1], []
        assert [s.prompt for s in desk.clicks.done] == done
        assert [s.prompt for s in desk.clicks.undone] == undone
    desk.drain()
    mask = model_mask(done)
    for z in range(SHAPE[0]):
        found = plane_mask(desk.scan, desk.clicks.done, Plane(0, z))
        assert np.array_equal(found, mask[z])
    assert np.array_equal(desk.labels, labels)


def model_mask(done: list[Any]) -> Any:
    mask = np.zeros(SHAPE, bool)
    for z in range(SHAPE[0]):
        mask[z] = dabs(mask[z], [p for p in done if p.plane.index == z])
    return mask
