"""Edits by hand, their laws, what they cost, how they are packed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_segreview.core.edits import (
    TILE,
    Edit,
    History,
    edit_between,
    edit_from_nothing,
    hull,
)
from src_models.errors import InputError

S = slice
DTYPES = ("u1", "i1", "u2", "<i4", "<u4", "<i8", "<u8", ">i2")


def test_by_hand() -> None:
    old = np.zeros((4, 5), np.uint8)
    new = old.copy()
    new[1, 2], new[2, 3] = 7, 8
    edit = edit_between(old, new, tool="brush", label=7, time=12.5)
    (change,) = edit.changes
    assert change.box == edit.box == (S(1, 3), S(2, 4))
    assert change.before.tolist() == [[0, 0], [0, 0]]
    assert change.after.tolist() == [[7, 0], [0, 8]]
    assert (edit.tool, edit.label, edit.time) == ("brush", 7, 12.5)
    edit.apply(old)
    assert np.array_equal(old, new)
    edit.inverse().apply(old)
    assert not old.any()


def test_nothing_changed() -> None:
    labels = np.ones((3, 3), np.int16)
    edit = edit_between(labels, labels.copy())
    assert edit.changes == edit.box == ()
    assert Edit.from_bytes(edit.to_bytes()).changes == ()


def test_far_places_are_boxes_of_their_own() -> None:
    """Two voxels at the ends of a volume of 100 million cost two voxels."""
    old = np.zeros((400, 512, 512), np.uint8)
    new = old.copy()
    new[0, 0, 0] = new[399, 511, 511] = 1
    ends = [(S(0, 1), S(0, 1), S(0, 1)), (S(399, 400), S(511, 512), S(511, 512))]
    edit = edit_between(old, new, ends)
    assert [change.box for change in edit.changes] == ends
    assert len(edit.to_bytes()) < 300


def test_a_stroke_in_one_slice_stays_flat() -> None:
    old = np.zeros((100, 300, 300), np.uint8)
    new = old.copy()
    new[42, 10:290, 20:25] = 3
    edit = edit_between(old, new)
    assert edit.box == (S(42, 43), S(10, 290), S(20, 25))
    assert sum(change.after.size for change in edit.changes) == 280 * 5


def test_only_the_boxes_are_looked_at() -> None:
    old = np.zeros((10, 10), np.uint8)
    edit = edit_between(old, old + 1, [(S(2, 4), S(2, 4)), (S(3, 5), S(3, 5))])
    assert edit.box == (S(2, 5), S(2, 5))


shapes = hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=TILE + 8)
small = shapes.filter(lambda shape: np.prod(shape) < 40_000)


@st.composite
def two_arrays(draw: Any) -> tuple[Any, Any]:
    shape, dtype = draw(small), np.dtype(draw(st.sampled_from(DTYPES)))
    bounds = np.iinfo(dtype)
    values = st.integers(int(bounds.min), int(bounds.max))
    fill = st.just(draw(values))
    old = draw(hnp.arrays(dtype, shape, elements=values, fill=fill))
    new = old.copy()
    for _ in range(draw(st.integers(0, 3))):
        ends = [
            sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape
        ]
        new[tuple(S(*end) for end in ends)] = draw(values)
    return old, new


@given(two_arrays())
def test_laws(pair: tuple[Any, Any]) -> None:
    """It leads from old to new and back; packing loses nothing; boxes are tight."""
    old, new = pair
    kept = old.copy()
    edit = edit_between(old, new)
    again = Edit.from_bytes(edit.to_bytes())
    for one in (edit, again):
        work = old.copy()
        one.apply(work)
        assert np.array_equal(work, new)
        one.inverse().apply(work)
        assert np.array_equal(work, old)
        assert all(c.after.dtype == old.dtype for c in one.changes)
    assert np.array_equal(old, kept)
    where = np.argwhere(old != new)
    bounds = zip(where.min(0), where.max(0) + 1, strict=True) if len(where) else ()
    assert edit.box == tuple(S(int(a), int(b)) for a, b in bounds)


@given(two_arrays())
def test_a_whole_array_from_nothing(pair: tuple[Any, Any]) -> None:
    labels = pair[1]
    work = np.zeros_like(labels)
    edit_from_nothing(labels).apply(work)
    assert np.array_equal(work, labels)


@given(two_arrays(), st.data())
def test_damaged_bytes_are_an_input_error(pair: tuple[Any, Any], data: Any) -> None:
    packed = bytearray(edit_between(*pair).to_bytes())
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        Edit.from_bytes(bytes(packed)).apply(np.zeros_like(pair[0]))
    except InputError:
        pass
    except Exception as error:  # noqa: BLE001
        pytest.fail(f"{type(error).__name__}: {error}")


def test_an_edit_of_another_scan_writes_nothing() -> None:
    old, new = np.zeros((200, 9), np.uint8), np.ones((200, 9), np.uint8)
    small = np.zeros((100, 9), np.uint8)
    with pytest.raises(InputError, match="belong to another scan"):
        edit_between(old, new).apply(small)
    assert not small.any()


def test_history_by_hand() -> None:
    labels = np.zeros((3, 3), np.uint8)
    history = History()
    for value in (1, 2, 3):
        edit = edit_between(labels, np.full_like(labels, value), label=value)
        edit.apply(labels)
        history.do(edit.to_bytes())
    for expected in (2, 1, 0):
        step = history.undo()
        assert step is not None
        step.apply(labels)
        assert (labels == expected).all()
    assert history.undo() is None
    assert history.undone == 3
    step = history.redo()
    assert step is not None
    assert step.label == 1
    history.do(b"other")  # forgets what was undone
    assert history.redo() is None
    assert len(history.packed) == 2


def test_hull() -> None:
    assert hull([]) == ()
    assert hull([(S(1, 2), S(5, 9)), (S(0, 1), S(6, 12))]) == (S(0, 2), S(5, 12))
