"""Prompts: where they lie, what of them lies on the scan, how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segreview.core.geometry import Grid
from napari_segreview.core.prompts import (
    Box,
    Lasso,
    Plane,
    Point,
    Scribble,
    fitted,
    flat,
    outline,
)
from napari_segreview.core.scan import Scan

SHAPE = (4, 6, 7)
VOLUME = Scan(
    data=np.zeros(SHAPE, np.uint8),
    grid=Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0)),
    name="volume",
)
CINE = Scan(
    data=np.zeros((3, 6, 7), np.uint8),
    grid=Grid.from_spacing((6, 7), (1.0, 1.0)),
    name="cine",
    has_time=True,
)


@pytest.mark.parametrize(
    ("plane", "box"),
    [
        (Plane(0, 2), (slice(2, 3), slice(0, 6), slice(0, 7))),
        (Plane(1, 5), (slice(0, 4), slice(5, 6), slice(0, 7))),
        (Plane(2, 0), (slice(0, 4), slice(0, 6), slice(0, 1))),
    ],
)
def test_a_plane_of_a_volume(plane: Plane, box: tuple[slice, ...]) -> None:
    assert plane.box(VOLUME) == box
    assert plane.inside(VOLUME)
    assert not plane.inside(CINE)


def test_a_plane_of_a_picture_over_time() -> None:
    plane = Plane(None, 0, 2)
    assert plane.box(CINE) == (slice(2, 3), slice(0, 6), slice(0, 7))
    assert plane.inside(CINE)
    assert not Plane(None, 0, 3).inside(CINE)
    assert not plane.inside(VOLUME)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_leaves_out_the_axis_of_the_plane(axis: int) -> None:
    at = (1.0, 2.0, 3.0)
    found = flat(Point(Plane(axis, int(at[axis])), at), 3)
    assert found.tolist() == [[v for n, v in enumerate(at) if n != axis]]


@pytest.mark.parametrize(
    "at",
    [(0, -1, 0), (0, 6, 0), (0, 0, 7), (0, 0, -0.6), (0, 0, np.nan), (0, np.inf, 0)],
)
def test_a_point_outside_is_none(at: tuple[float, ...]) -> None:
    assert fitted(Point(Plane(0, 0), at), VOLUME) is None


def test_a_point_on_the_outer_half_of_a_voxel_is_inside() -> None:
    prompt = Point(Plane(0, 0), (0.0, -0.4, 6.4))
    assert fitted(prompt, VOLUME) is prompt


def test_what_of_other_prompts_lies_on_the_scan() -> None:
    plane = Plane(0, 1)
    scribble = Scribble(plane, ((1, -3, 0), (1, 2, 2), (1, 2, 9)))
    assert fitted(scribble, VOLUME) == Scribble(plane, ((1, 2, 2),))
    assert fitted(Scribble(plane, ((1, -3, 0),)), VOLUME) is None
    box = Box(plane, (1, -9, -9), (1, 3, 99))
    assert fitted(box, VOLUME) == Box(plane, (1, 0, 0), (1, 3, 6))
    assert fitted(Box(plane, (1, 7, 0), (1, 9, 3)), VOLUME) is None
    lasso = Lasso(plane, ((1, -1, -1), (1, 3, 3), (1, -1, 9)))
    assert fitted(lasso, VOLUME) is lasso
    assert fitted(Lasso(plane, lasso.corners[:2]), VOLUME) is None
    assert fitted(Point(Plane(0, 4), (4, 0, 0)), VOLUME) is None


places = st.tuples(
    st.just(1.0), st.floats(-20, 20, width=16), st.floats(-20, 20, width=16)
)


@given(places, places)
def test_a_box_is_drawn_closed_along_its_rim(
    a: tuple[float, ...], b: tuple[float, ...]
) -> None:
    low, high = np.minimum(a, b), np.maximum(a, b)
    drawn = outline(Box(Plane(0, 1), tuple(low), tuple(high)), 3)
    assert np.allclose(drawn[0], drawn[-1])
    assert (drawn >= low - 1e-9).all()
    assert (drawn <= high + 1e-9).all()
    on_rim = np.isclose(drawn[:, 1:], low[1:]) | np.isclose(drawn[:, 1:], high[1:])
    assert on_rim.any(1).all()
    assert np.abs(np.diff(drawn, axis=0)).max() <= 1 + 1e-9


def test_a_scribble_is_drawn_open_and_a_lasso_closed() -> None:
    corners = ((1.0, 0.0, 0.0), (1.0, 0.0, 3.0), (1.0, 3.0, 3.0))
    assert len(outline(Scribble(Plane(0, 1), corners), 3)) == 7
    assert len(outline(Lasso(Plane(0, 1), corners), 3)) == 10
    assert len(outline(Point(Plane(0, 1), corners[0]), 3)) == 1
