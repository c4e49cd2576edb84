"""Contours to pixels: by hand, laws, and another rasteriser."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import points_in_poly

from napari_segreview.scans.contours import fill

SQUARE = np.array([[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]])


def picture(mask: np.ndarray) -> str:
    return "\n".join("".join(".#"[int(v)] for v in row) for row in mask)


def test_a_rectangle_by_hand() -> None:
    assert picture(fill([SQUARE], (4, 5))) == ".....\n.###.\n.###.\n....."
    assert picture(fill([SQUARE[::-1]], (4, 5))) == ".....\n.###.\n.###.\n....."


def test_a_hole_and_an_island_in_it() -> None:
    def box(r: float) -> np.ndarray:
        return np.array([[-r, -r], [r, -r], [r, r], [-r, r]]) + 4

    mask = fill([box(3.5), box(2.5), box(0.5)], (9, 9))
    assert mask.sum() == 7 * 7 - 5 * 5 + 1
    assert mask[4, 4]
    assert not mask[4, 5]


def test_a_keyhole_is_a_hole() -> None:
    """Some programs draw a hole as a slit from outside and back."""
    outer = [[0.5, 0.5], [6.5, 0.5], [6.5, 6.5], [0.5, 6.5], [0.5, 0.5]]
    inner = [[2.5, 2.5], [2.5, 4.5], [4.5, 4.5], [4.5, 2.5], [2.5, 2.5]]
    assert fill([np.array(outer + inner)], (8, 8)).sum() == 36 - 4


def test_nothing_and_what_lies_outside() -> None:
    assert not fill([], (3, 4)).any()
    assert not fill([SQUARE + 10], (4, 5)).any()
    assert not fill([np.array([[0.0, 1.0], [3.0, 1.0], [1.0, 1.0]])], (4, 5)).any()
    assert fill([SQUARE * 100 - 100], (4, 5)).all()


points = st.lists(
    st.tuples(st.floats(-3, 13), st.floats(-3, 11)), min_size=3, max_size=12
).map(np.array)


@given(points)
def test_centres_inside_as_another_rasteriser_has_them(contour: np.ndarray) -> None:
    contour = contour + 0.0123  # no centre right on an edge: that is a convention
    yx = np.stack(np.mgrid[:8, :10], -1).reshape(-1, 2)
    inside = points_in_poly(yx[:, ::-1], contour).reshape(8, 10)
    mask = fill([contour], (8, 10))
    for y, x in np.argwhere(mask != inside):  # only where an edge passes the centre
        assert distance(contour, np.array([x, y])) < 1e-6


def distance(contour: np.ndarray, point: np.ndarray) -> float:
    a, b = contour, np.roll(contour, -1, axis=0)
    along = ((point - a) * (b - a)).sum(1) / np.maximum(((b - a) ** 2).sum(1), 1e-30)
    nearest = a + np.clip(along, 0, 1)[:, None] * (b - a)
    return float(np.linalg.norm(nearest - point, axis=1).min())


@given(points, points)
def test_two_contours_are_the_exclusive_or(one: np.ndarray, two: np.ndarray) -> None:
    both = fill([one, two], (8, 10))
    np.testing.assert_array_equal(both, fill([one], (8, 10)) ^ fill([two], (8, 10)))


@given(st.integers(0, 10), st.integers(-2, 12), st.integers(-2, 12))
def test_neighbours_share_no_pixel(cut: int, low: int, high: int) -> None:
    """Cut through pixel centres: each centre belongs to one side."""
    low, high = min(low, high), max(low, high) + 1

    def strip(first: float, last: float) -> np.ndarray:
        return np.array([[first, low], [last, low], [last, high], [first, high]])

    left, right = (fill([s], (8, 10)) for s in (strip(-1, cut), strip(cut, 11)))
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, fill([strip(-1, 11)], (8, 10)))
