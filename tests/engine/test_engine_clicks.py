"""Clicks on planes of scans: any plane, any spacing, colour, frames; through slices."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segreview.core.geometry import Grid
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from napari_segreview.core.protocols import Question
from napari_segreview.core.scan import Scan
from napari_segreview.engine.click_volume import STEPS, VolumeEngine
from napari_segreview.engine.clicks import KEPT, ClickEngine, Stretch, image_of, support
from napari_segreview.engine.through import (
    extent,
    interpolated,
    signed_distance,
    through,
)
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError
from src_models.interactive.fallback import WalkPredictor
from src_models.interactive.predictor import obeyed
from src_models.progress import drain

if TYPE_CHECKING:
    from pathlib import Path


class Threshold:
    """The bright pixels; remembers what it was given."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def set_image(self, image: Any) -> None:
        self.image = image if image.ndim == 2 else image[..., 0]
        self.log.append(image)

    def answer(self, prompts: Any, previous: Any = None) -> Any:
        self.prompts, self.previous = prompts, previous
        assert previous is None or previous.shape == self.image.shape
        self.log.append(prompts)
        return obeyed(self.image > 0.5, prompts)


class Bright:
    """The bright voxels of a volume; remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def set_volume(self, volume: Any, spacing: Any) -> None:
        self.volume = volume
        self.given.append(tuple(spacing))

    def answer(self, spots: Any, previous: Any = None) -> Any:
        self.given.append((list(spots), previous))
        return self.volume > 0.5


def walking() -> ClickEngine:
    """No net in it: random walks in slices, the bright voxels of volumes."""
    return ClickEngine(WalkPredictor, VolumeEngine(Bright))


def ball(spacing: tuple[float, float, float], radius: float = 12.0) -> Scan:
    """A bright ball in the middle of a volume."""
    sides = tuple(round(40 / s) for s in spacing)
    z, y, x = np.ogrid[tuple(slice(0, side) for side in sides)]
    away = sum(
        ((a - (n - 1) / 2) * s) ** 2
        for a, n, s in zip((z, y, x), sides, spacing, strict=True)
    )
    data = (away <= radius**2).astype(np.float32)
    return Scan(data=data, grid=Grid.from_spacing(sides, spacing), name="ball")


def middle(scan: Scan, axis: int, positive: bool = True) -> Point:
    at = tuple(float(side // 2) for side in scan.grid.shape)
    return Point(Plane(axis, int(at[axis])), at, positive)


def ask(scan: Scan, *prompts: Any, **facts: Any) -> Question:
    return Question(scan=scan, plane=prompts[0].plane, prompts=prompts, **facts)


def iou(a: Any, b: Any) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 0.5)])
def test_any_plane_at_any_spacing(spacing: tuple[float, ...], axis: int) -> None:
    scan = ball(spacing)
    prompt = middle(scan, axis)
    seen = Threshold()
    mask = ClickEngine(lambda: seen).answer(ask(scan, prompt))
    truth = np.take(scan.data, prompt.plane.index, axis) > 0
    assert mask.shape == truth.shape
    assert iou(mask, truth) > 0.9
    rows, columns = (s for a, s in enumerate(spacing) if a != axis)
    height, width = seen.log[0].shape
    assert height * columns * truth.shape[1] == pytest.approx(
        width * columns * truth.shape[0] * rows / columns, rel=0.1
    )  # the pixels of the picture are square


def test_the_marks_arrive_where_they_were_made() -> None:
    """On anisotropic pixels, by what lies under them."""
    data = np.zeros((5, 8, 30), np.float32)
    data[2, 6, 21] = 1
    scan = Scan(data=data, grid=Grid.from_spacing(data.shape, (1, 5.0, 1.0)), name="a")
    engine = ClickEngine(Threshold)
    prompt = Point(Plane(0, 2), (2.0, 6.0, 21.0))
    engine.answer(ask(scan, prompt))
    (ready,) = engine._ready.values()
    (mark,) = ready.predictor.prompts  # type: ignore[attr-defined]
    picture = ready.predictor.image  # type: ignore[attr-defined]
    assert picture.shape == (40, 30)
    assert picture[round(mark.y), round(mark.x)] == picture.max()


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
steps = st.tuples(st.floats(0.2, 9), st.floats(0.2, 9))


@given(shapes, steps, st.data())
def test_stretching_is_undone(
    shape: tuple[int, int], spacing: tuple[float, float], data: st.DataObject
) -> None:
    stretch = Stretch.of(shape, spacing)
    assert all(b >= a for a, b in zip(shape, stretch.square, strict=True))
    rows = data.draw(st.integers(0, shape[0])), data.draw(st.integers(0, shape[0]))
    mask = np.zeros(shape, bool)
    mask[min(rows) : max(rows)] = True
    assert np.array_equal(stretch.back(stretch.stretched(mask)), mask)


def test_pixels_are_never_stretched_without_end() -> None:
    stretch = Stretch.of((300, 3000), (50.0, 0.1))
    assert stretch.square == (2048, 3000)


def test_colour_frames_and_what_a_plane_is() -> None:
    data = np.zeros((3, 6, 7, 3), np.uint8)
    data[1, 2:4, 2:5, 0] = 255
    scan = Scan(
        data=data,
        grid=Grid.from_spacing((6, 7), (1.0, 1.0), "px"),
        name="film",
        has_time=True,
        has_channels=True,
    )
    plane = Plane(None, 0, 1)
    assert image_of(scan, plane).shape == (6, 7, 3)
    mask = ClickEngine(Threshold).answer(ask(scan, Point(plane, (3.0, 3.0))))
    assert np.array_equal(mask, data[1, ..., 0] > 0)


@pytest.mark.parametrize(
    "prompt",
    [
        Point(Plane(0, 1), (1.0, 0.0, 0.0)),
        Scribble(Plane(0, 1), ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), True),
    ],
)
def test_each_mark_is_on_its_side(prompt: Any) -> None:
    scan = ball((4.0, 1.0, 1.0))
    assert ClickEngine(Threshold).answer(ask(scan, prompt))[0, 0]


def test_pictures_stay_prepared_for_the_last_planes() -> None:
    scan, made = ball((1.0, 1.0, 1.0)), Threshold()
    engine = ClickEngine(lambda: made)
    for index in (*range(KEPT), *range(KEPT)):
        plane = Plane(0, index)
        engine.answer(ask(scan, Point(plane, (index, 3.0, 3.0))))
    assert sum(isinstance(one, np.ndarray) for one in made.log) == KEPT
    other = ball((1.0, 1.0, 1.0))
    engine.answer(ask(other, Point(Plane(0, 0), (0.0, 3.0, 3.0))))
    assert sum(isinstance(one, np.ndarray) for one in made.log) == KEPT + 1
    assert len(engine._ready) == KEPT


def test_a_mask_there_was_before_is_passed_on_as_points() -> None:
    scan = ball((1.0, 1.0, 1.0))
    base = image_of(scan, Plane(0, 20)) > 0
    seen = Threshold()
    engine = ClickEngine(lambda: seen)
    away = Point(Plane(0, 20), (20.0, 20.0, 12.0), False)
    engine.answer(ask(scan, away, base=base, previous=base))
    given_ = seen.log[-1]
    assert len(given_) > 8
    for mark in given_[:-1]:
        assert base[round(mark.y), round(mark.x)] == mark.positive
        near = np.hypot(mark.y - 20, mark.x - 12)
        assert near > 3
    assert not given_[-1].positive


def test_supports_of_small_masks() -> None:
    nothing = np.zeros((5, 5), bool)
    assert [len(one) for one in support(nothing)] == [0, 0]
    nothing[2, 2] = True
    inner, _ = support(nothing)
    assert inner.tolist() == [[2.0, 2.0]]
    inner, outer = support(np.ones((4, 4), bool))
    assert len(inner)
    assert not len(outer)


def test_it_is_made_once_however_it_begins() -> None:
    made: list[Threshold] = []

    def make() -> Threshold:
        made.append(Threshold())
        return made[-1]

    scan, engine = ball((1.0, 1.0, 1.0)), ClickEngine(make)
    assert not made
    engine.warm()
    engine.answer(ask(scan, middle(scan, 0)))
    engine.warm()
    assert len(made) == 1


def test_two_threads_may_ask() -> None:
    scan, engine = ball((1.0, 1.0, 1.0)), ClickEngine(WalkPredictor)
    found: list[Any] = []

    def work(axis: int) -> None:
        found.append((axis, engine.answer(ask(scan, middle(scan, axis)))))

    threads = [threading.Thread(target=work, args=(axis,)) for axis in (0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for axis, mask in found:
        assert iou(mask, np.take(scan.data, 20, axis) > 0) > 0.8
    assert len(found) == 3


@pytest.mark.parametrize("value", [0.0, np.nan, 7.5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 12)])
def test_odd_pictures(value: float, shape: tuple[int, int]) -> None:
    """One pixel, one row, constant, not a number: an answer, never a fault."""
    scan = Scan(
        data=np.full(shape, value, np.float32),
        grid=Grid.from_spacing(shape, (1.0, 3.0)),
        name="odd",
    )
    plane = Plane(None)
    engine = ClickEngine(WalkPredictor)
    yes, no = Point(plane, (0.0, 0.0)), Point(plane, (0.0, 0.0), False)
    assert engine.answer(ask(scan, yes))[0, 0]
    assert not engine.answer(ask(scan, yes, no))[0, 0]  # the later wins
    assert engine.answer(ask(scan, no, yes))[0, 0]
    rim = Box(plane, (0.0, 0.0), (shape[0] - 1.0, shape[1] - 1.0))
    assert engine.answer(ask(scan, rim)).shape == shape
    round_ = Lasso(plane, ((0.0, 0.0), (0.0, shape[1] - 1.0), (shape[0] - 1.0, 0.0)))
    assert engine.answer(ask(scan, round_)).shape == shape


# ── through slices ─────────────────────────────────────────────────────────────


def test_between_two_slices_the_shape_changes_evenly() -> None:
    """Concentric discs: the radius in the middle is the mean."""
    y, x = np.ogrid[-30:31, -30:31]
    small, large = (y**2 + x**2 <= r**2 for r in (8, 20))
    ends = [signed_distance(one, (1.0, 1.0)) for one in (small, large)]
    between = interpolated(ends[0], ends[1], 0.5)
    assert np.sqrt(between.sum() / np.pi) == pytest.approx(14, abs=0.4)
    assert np.array_equal(interpolated(ends[0], ends[1], 0.0), small)
    assert np.array_equal(interpolated(ends[0], ends[1], 1.0), large)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_becomes_the_ball_and_ends_where_it_ends(axis: int) -> None:
    scan = ball((2.0, 1.0, 1.0))
    plane = middle(scan, axis).plane
    masks = {plane: image_of(scan, plane) > 0}
    found = drain(through(walking(), scan, masks))
    volume = np.zeros(scan.data.shape, bool)
    for one, mask in (masks | found).items():
        volume[(slice(None),) * axis + (one.index,)] = mask
    assert plane not in found
    assert iou(volume, scan.data > 0) > 0.9


def test_slices_that_were_clicked_stay_and_an_empty_one_ends_it() -> None:
    scan = ball((1.0, 1.0, 1.0))
    full = image_of(scan, Plane(0, 20)) > 0
    masks = {Plane(0, 18): full, Plane(0, 22): full, Plane(0, 26): np.zeros_like(full)}
    found = drain(through(walking(), scan, masks))
    assert not masks.keys() & found.keys()
    assert all(np.array_equal(found[Plane(0, n)], full) for n in (19, 20, 21))
    assert not [plane for plane in found if plane.index > 22]


def test_it_can_be_stopped_after_each_slice() -> None:
    scan = ball((1.0, 1.0, 1.0))
    plane = Plane(0, 20)
    steps = through(walking(), scan, {plane: image_of(scan, plane) > 0})
    progress = next(steps)
    assert progress.total == 40
    steps.close()


def test_it_goes_no_farther_than_the_volume_says() -> None:
    """Slice by slice the ball goes on."""

    class Lower(Bright):
        def answer(self, spots: Any, previous: Any = None) -> Any:
            super().answer(spots, previous)
            body = self.volume > 0.5
            body[24:] = False
            return body

    scan, seen = ball((1.0, 1.0, 1.0)), Lower()
    plane = Plane(0, 20)
    masks = {plane: image_of(scan, plane) > 0}
    engine = ClickEngine(WalkPredictor, VolumeEngine(lambda: seen))
    assert extent(engine, scan, masks) == (8, 23)
    spots, previous = seen.given[-1]
    assert previous is None
    assert spots[-1].positive
    assert all(spot.place[0] == 20 for spot in spots)
    assert all(scan.data[tuple(map(int, one.place))] == one.positive for one in spots)
    found = drain(through(engine, scan, masks))
    assert {one.index for one in found} <= set(range(8, 24))
    assert Plane(0, 23) in found


def test_what_the_volume_does_not_show_is_looked_for_between_slices_only() -> None:
    class Blind(Bright):
        def answer(self, spots: Any, previous: Any = None) -> Any:
            return np.zeros(self.volume.shape, bool)

    scan = ball((1.0, 1.0, 1.0))
    masks = {Plane(0, n): image_of(scan, Plane(0, n)) > 0 for n in (18, 21)}
    engine = ClickEngine(WalkPredictor, VolumeEngine(Blind))
    assert set(drain(through(engine, scan, masks))) == {Plane(0, 19), Plane(0, 20)}


def test_nothing_to_begin_with() -> None:
    scan = ball((1.0, 1.0, 1.0))
    nothing = np.zeros((40, 40), bool)
    engine = ClickEngine(Threshold, VolumeEngine(Bright))
    assert drain(through(engine, scan, {})) == {}
    assert drain(through(engine, scan, {Plane(0, 5): nothing})) == {}


# ── real scans ─────────────────────────────────────────────────────────────────


def test_an_organ_of_a_ct_in_every_plane(data_dir: Path) -> None:
    folder = data_dir / "ct_headneck_openkbp"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    path = sorted((folder / "images").glob("*.nii.gz"))[0]
    scan = read_one(path)
    labels = read_labels(folder / "labels" / path.name).data
    value = int(np.bincount(labels[labels > 0]).argmax())
    engine = ClickEngine(WalkPredictor)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        index = int((labels == value).sum(others).argmax())
        truth = np.take(labels, index, axis) == value
        inner, _ = support(truth)
        at = np.insert(inner[0], axis, index)
        prompt = Point(Plane(axis, index), tuple(at.tolist()))
        mask = engine.answer(ask(scan, prompt))
        assert mask.shape == truth.shape
        assert mask[tuple(inner[0].astype(int))]
        assert mask.mean() < 0.9


def test_a_predictor_that_refuses_says_so() -> None:
    class Refusing(Threshold):
        def set_image(self, image: Any) -> None:
            raise InputError("wanted colour, got grey")

    scan = ball((1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="wanted colour"):
        ClickEngine(Refusing).answer(ask(scan, middle(scan, 0)))


class TestWholeVolumes:
    def everywhere(self, scan: Scan, *prompts: Any, **facts: Any) -> Question:
        plane = Plane(None, 0, facts.pop("frame", 0))
        prompts = tuple(replace(prompt, plane=plane) for prompt in prompts)
        return Question(scan=scan, plane=plane, prompts=prompts, **facts)

    def test_the_volume_is_taken_once_with_its_spacing(self) -> None:
        scan, seen = ball((4.0, 1.0, 0.5)), Bright()
        engine = ClickEngine(Threshold, VolumeEngine(lambda: seen))
        for _ in range(2):
            mask = engine.answer(self.everywhere(scan, middle(scan, 0)))
            np.testing.assert_array_equal(mask, scan.data > 0.5)
        assert seen.given[0] == (4.0, 1.0, 0.5)
        assert len(seen.given) == 3

    def test_marked_voxels_hold(self) -> None:
        scan = ball((1.0, 1.0, 1.0))
        engine = ClickEngine(Threshold, VolumeEngine(Bright))
        away = Point(Plane(0, 0), (0.0, 3.0, 4.0))
        inside = middle(scan, 0, positive=False)
        mask = engine.answer(self.everywhere(scan, away, inside))
        assert mask[0, 3, 4]
        assert not mask[tuple(map(int, inside.at))]

    def test_a_frame_of_a_scan_over_time(self) -> None:
        one = ball((1.0, 1.0, 1.0))
        data = np.stack([np.zeros_like(one.data), one.data])
        scan = Scan(data=data, grid=one.grid, name="beats", has_time=True)
        engine = ClickEngine(Threshold, VolumeEngine(Bright))
        at = middle(one, 0)
        assert engine.answer(self.everywhere(scan, at, frame=1)).sum() > 100
        assert engine.answer(self.everywhere(scan, at, frame=0)).sum() == 1

    def test_a_scribble_is_a_few_places(self) -> None:
        scan, seen = ball((1.0, 1.0, 1.0)), Bright()
        places = tuple((20.0, 20.0, float(x)) for x in range(12, 28))
        engine = ClickEngine(Threshold, VolumeEngine(lambda: seen))
        engine.answer(self.everywhere(scan, Scribble(Plane(0, 20), places)))
        spots, _ = seen.given[-1]
        assert len(spots) == STEPS
        assert spots[0].place == places[0]
        assert spots[-1].place == places[-1]

    def test_a_box_is_refused_in_words(self) -> None:
        scan = ball((1.0, 1.0, 1.0))
        engine = ClickEngine(Threshold, VolumeEngine(Bright))
        box = Box(Plane(0, 3), (3, 2, 2), (3, 9, 9))
        with pytest.raises(InputError, match="points and scribbles"):
            engine.answer(self.everywhere(scan, box))
