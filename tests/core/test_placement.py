"""Letters of edges, grids of the same voxels, and notes on how a scan lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segreview.core.geometry import Grid
from napari_segreview.core.geometry_notes import mismatch, notes
from napari_segreview.core.orientation import Turn, edge_letters, turn_between

UPRIGHT = np.diag([0.5, 0.75, 2.0, 1.0])


def turned(degrees: float, axis: int = 0) -> np.ndarray:
    """The upright affine, turned about a patient axis."""
    a, b = [one for one in range(3) if one != axis]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(4)
    rotation[[a, a, b, b], [a, b, a, b]] = cos, -sin, sin, cos
    return rotation @ UPRIGHT


# -- letters -------------------------------------------------------------------------


def test_an_axial_slice_of_dicom() -> None:
    letters = edge_letters(Grid((5, 6, 7), UPRIGHT), (1, 2))
    assert letters == ("R", "L", "A", "P")  # as radiologists hang it
    assert letters.bottom == "P"


def test_the_other_planes_and_reversed_axes() -> None:
    grid = Grid((5, 6, 7), UPRIGHT)
    assert edge_letters(grid, (0, 2)) == ("R", "L", "I", "S")
    assert edge_letters(grid, (0, 1)) == ("A", "P", "I", "S")
    assert edge_letters(grid, (2, 1)) == ("A", "P", "R", "L")
    mirrored = Grid((5, 6, 7), UPRIGHT @ np.diag([-1, 1, -1, 1]))
    assert edge_letters(mirrored, (0, 2)) == ("L", "R", "S", "I")


def test_oblique_edges_have_two_letters() -> None:
    assert edge_letters(Grid((5, 6, 7), turned(10, axis=2)), (1, 2)).right == "L"
    assert edge_letters(Grid((5, 6, 7), turned(30, axis=2)), (1, 2)).right == "LP"
    assert edge_letters(Grid((5, 6, 7), turned(60, axis=2)), (1, 2)).right == "PL"


@pytest.mark.parametrize(
    "grid",
    [
        Grid.from_spacing((6, 7), (1.0, 1.0)),
        Grid.from_spacing((5, 6, 7), (1.0, 1.0, 1.0), "px"),
    ],
)
def test_no_letters_where_nothing_is_known(grid: Grid) -> None:
    assert edge_letters(grid, (0, 1)) == ("", "", "", "")


# -- the same voxels -----------------------------------------------------------------

turns = st.builds(
    Turn,
    st.permutations(range(3)).map(tuple),
    st.sets(st.integers(0, 2)).map(lambda axes: tuple(sorted(axes))),
)


@given(turns, st.floats(-40, 40), st.integers(0, 2))
def test_a_turned_grid_is_found_again(turn: Turn, degrees: float, axis: int) -> None:
    grid = Grid((3, 4, 5), turned(degrees, axis))
    data = np.arange(60).reshape(3, 4, 5)
    other = turn.grid(grid)
    found = turn_between(grid, other)
    assert found == turn
    back = turn_between(other, grid)
    assert back is not None
    np.testing.assert_array_equal(back.apply(turn.apply(data)), data)
    at = (2, 1, 3)  # a voxel keeps its place in the patient
    where = np.argwhere(turn.apply(data) == data[at])[0]
    np.testing.assert_allclose(other.to_world(where), grid.to_world(at), atol=1e-9)


@pytest.mark.parametrize(
    "other",
    [
        Grid((3, 4, 6), UPRIGHT),
        Grid((3, 4, 5), turned(3)),
        Grid((3, 4, 5), UPRIGHT @ np.diag([1, 1, 1.1, 1])),
        Grid((3, 4, 5), UPRIGHT + np.array([[0, 0, 0, 0.3]] + [[0] * 4] * 3)),
        Grid((4, 5), np.eye(3)),
        Grid((3, 4, 5), UPRIGHT, "px"),
    ],
)
def test_other_voxels_are_not_taken_for_the_same(other: Grid) -> None:
    assert turn_between(Grid((3, 4, 5), UPRIGHT), other) is None


# -- notes ---------------------------------------------------------------------------


def sheared(affine: np.ndarray) -> np.ndarray:
    affine = affine.copy()
    affine[1, 2] += np.tan(np.radians(12)) * affine[2, 2]
    return affine


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (UPRIGHT, []),
        (turned(0.2), []),
        (turned(180), []),
        (turned(20), ["oblique: its slices are tilted by 20°"]),
        (UPRIGHT @ np.diag([-1, 1, 1, 1]), ["flipped: "]),
        (UPRIGHT[[1, 0, 2, 3]], ["flipped: "]),
        (sheared(UPRIGHT), ["oblique: ", "sheared: each slice is shifted"]),
    ],
)
def test_notes(affine: np.ndarray, words: list[str]) -> None:
    said = notes(Grid((3, 4, 5), affine))
    assert len(said) == len(words)
    for one, word in zip(said, words, strict=True):
        assert one.startswith(word)


def test_notes_without_a_voxel_size() -> None:
    assert "no voxel size" in notes(Grid((3, 4, 5), np.eye(4), "px"))[0]
    assert notes(Grid((4, 5), np.eye(3), "px")) == ()


def test_mismatch_in_words() -> None:
    image = Grid((3, 4, 5), UPRIGHT)
    assert mismatch(Grid((3, 4, 5), UPRIGHT.copy()), image) == ""
    assert "another order" in mismatch(Turn((1, 2, 0), (0,)).grid(image), image)
    assert "shape 3×4×6 against 3×4×5" in mismatch(Grid((3, 4, 6), UPRIGHT), image)
    assert "position" in mismatch(Grid((3, 4, 5), turned(5)), image)
