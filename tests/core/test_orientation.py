"""Turning arrays: there and back, and as SimpleITK turns them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, grid_to

from napari_segreview.core.geometry import Grid
from napari_segreview.core.orientation import Turn, turn_to

letters = st.sampled_from(ORIENTATIONS)
leads = st.lists(st.integers(1, 3), max_size=2)
SHAPE, SPACING = (2, 3, 4), (5.0, 1.0, 0.5)


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape)


def turned_grid(grid: Grid, turn: Turn) -> Grid:
    """The grid of the turned array, worked out from three neighbours."""
    at = numbered(*grid.shape)
    new = turn.apply(at)
    corners = [np.zeros(3, int), *np.eye(3, dtype=int)]
    old = [np.argwhere(at == new[tuple(corner)])[0] for corner in corners]
    first, *steps = grid.to_world(np.array(old))
    affine = np.eye(4)
    affine[:3, :3] = np.array([step - first for step in steps])[::-1].T
    affine[:3, 3] = first
    return Grid(new.shape, affine)


def test_by_hand() -> None:
    turn = Turn((2, 0, 1), (0,))
    array = numbered(2, 3, 4)
    assert turn.apply(array).shape == (4, 2, 3)
    assert turn.apply(array)[0, 1, 2] == array[1, 2, 3]  # the first of x is the last
    assert turn.of((5.0, 1.0, 0.5)) == (0.5, 5.0, 1.0)


@given(start=letters, end=letters, lead=leads)
def test_undo_is_the_way_back(start: str, end: str, lead: list[int]) -> None:
    turn = turn_to(grid_to(start, SHAPE), end)
    array = numbered(*lead, *SHAPE)
    assert np.array_equal(turn.undo(turn.apply(array)), array)
    new = array.reshape(*lead, *turn.of(SHAPE))
    assert np.array_equal(turn.apply(turn.undo(new)), new)


@given(start=letters, end=letters, tilt=st.sampled_from([0.0, 12.0, -25.0]))
def test_the_turned_array_runs_to_the_letters(
    start: str, end: str, tilt: float
) -> None:
    grid = grid_to(start, SHAPE, SPACING, tilt=tilt)
    turn = turn_to(grid, end)
    new = turned_grid(grid, turn)
    assert new.orientation == end
    assert new.spacing == pytest.approx(turn.of(grid.spacing))
    assert new.shape == turn.of(grid.shape)


@given(start=letters, end=letters)
def test_itk_turns_the_same_way(start: str, end: str) -> None:
    grid = grid_to(start, SHAPE, SPACING)
    array = numbered(*SHAPE).astype(np.int16)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    image.SetDirection((grid.affine[:3, :3] / grid.spacing[::-1]).ravel().tolist())
    oriented = SimpleITK.GetArrayFromImage(SimpleITK.DICOMOrient(image, end))
    assert np.array_equal(turn_to(grid, end).apply(array), oriented)


def test_nothing_is_copied() -> None:
    array = numbered(2, *SHAPE)
    turn = turn_to(grid_to("LPI", SHAPE), "ARS")
    assert np.shares_memory(turn.apply(array), array)
    assert np.shares_memory(turn.undo(turn.apply(array)), array)


@pytest.mark.parametrize("wanted", ["", "RAS"])
def test_a_flat_image_is_not_turned(wanted: str) -> None:
    flat = Grid.from_spacing((3, 4), (1.0, 2.0))
    assert turn_to(flat, wanted) == Turn((0, 1))


def test_no_letters_no_turn() -> None:
    assert turn_to(grid_to("LPI", SHAPE), "") == Turn((0, 1, 2))
