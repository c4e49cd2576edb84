"""Where voxels lie, told by hand, by SimpleITK and by nibabel."""

from __future__ import annotations

from itertools import permutations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, about, grid_to

from napari_segreview.core.geometry import Grid
from src_models.errors import InputError

sides = st.floats(0.05, 20)
places = st.floats(-900, 900)
seeds = st.integers(0, 2**20)


def some_affine(seed: int, spacing: list[float], origin: list[float]) -> np.ndarray:
    """Any rotation, mirrored or not."""
    n = len(spacing)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    affine = np.eye(n + 1)
    affine[:n, :n], affine[:n, n] = turn * spacing, origin
    return affine


def itk_image(grid: Grid) -> SimpleITK.Image:
    n = grid.ndim
    spacing = np.linalg.norm(grid.affine[:n, :n], axis=0)
    image = SimpleITK.Image([*grid.shape[::-1]], SimpleITK.sitkUInt8)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((grid.affine[:n, :n] / spacing).ravel().tolist())
    image.SetOrigin(grid.affine[:n, n].tolist())
    return image


# ── by hand ────────────────────────────────────────────────────────────────────────


def test_a_grid_by_hand() -> None:
    affine = np.diag([0.5, 2.0, 3.0, 1.0])  # x, y, z
    affine[:3, 3] = (10, 20, 30)
    grid = Grid((4, 5, 6), affine)
    assert grid.spacing == (3.0, 2.0, 0.5)  # z, y, x
    assert grid.voxel_volume == pytest.approx(3.0)
    assert grid.orientation == "LPS"
    assert not grid.is_oblique
    assert grid.to_world((1, 0, 2)).tolist() == [11.0, 20.0, 33.0]
    assert grid.to_world(np.zeros((7, 3))).shape == (7, 3)


def test_spacing_is_in_array_order() -> None:
    grid = Grid.from_spacing((4, 5, 6), (3.0, 2.0, 1.0))
    assert grid.spacing == (3.0, 2.0, 1.0)
    assert np.diag(grid.affine).tolist() == [1.0, 2.0, 3.0, 1.0]


def test_a_flat_grid_has_no_letters() -> None:
    grid = Grid.from_spacing((4, 5), (1.0, 1.0), "px")
    assert (grid.ndim, grid.orientation, grid.unit) == (2, "", "px")


@pytest.mark.parametrize("letters", ORIENTATIONS)
def test_letters_of_every_orientation(letters: str) -> None:
    assert grid_to(letters, (2, 3, 4), (1, 2, 3)).orientation == letters
    assert grid_to(letters, (2, 3, 4), (1, 2, 3), tilt=20).orientation == letters


@pytest.mark.parametrize(("degrees", "oblique"), [(0, False), (0.3, False), (1, True)])
def test_oblique_begins_at_half_a_degree(degrees: float, oblique: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = about(np.array([0, 0, 1.0]), degrees)
    assert Grid((2, 2, 2), affine).is_oblique is oblique


def test_the_affine_is_ones_own_and_cannot_be_written() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 99
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 1


# ── oracles ────────────────────────────────────────────────────────────────────────


@given(
    n=st.sampled_from([2, 3]),
    seed=seeds,
    spacing=st.lists(sides, min_size=3, max_size=3),
    origin=st.lists(places, min_size=3, max_size=3),
    index=st.lists(st.floats(-5, 50), min_size=3, max_size=3),
)
def test_places_are_those_of_itk(
    n: int, seed: int, spacing: list[float], origin: list[float], index: list[float]
) -> None:
    grid = Grid((2, 3, 4)[:n], some_affine(seed, spacing[:n], origin[:n]))
    there = itk_image(grid).TransformContinuousIndexToPhysicalPoint(index[:n])
    assert np.allclose(grid.to_world(index[:n][::-1]), there, atol=1e-6)
    swapped = grid.array_affine @ [*index[:n][::-1], 1]
    assert np.allclose(swapped[:-1][::-1], there, atol=1e-6)
    assert np.allclose(grid.spacing, spacing[:n][::-1])
    assert grid.voxel_volume == pytest.approx(np.prod(spacing[:n]))


@given(
    letters=st.sampled_from(ORIENTATIONS),
    axis=st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(
        lambda axis: np.linalg.norm(axis) > 0.1
    ),
    degrees=st.floats(-40, 40),
    spacing=st.lists(sides, min_size=3, max_size=3),
)
def test_letters_are_those_of_nibabel(
    letters: str, axis: list[float], degrees: float, spacing: list[float]
) -> None:
    affine = grid_to(letters, (2, 2, 2)).affine.copy()
    affine[:3, :3] = about(np.array(axis), degrees) @ affine[:3, :3] * spacing
    ras = np.diag([-1, -1, 1, 1]) @ affine
    found = Grid((2, 2, 2), affine).orientation
    assert found == "".join(nib.aff2axcodes(ras)) == letters


@given(seed=seeds)
def test_letters_name_each_patient_axis_once(seed: int) -> None:
    found = Grid((2, 2, 2), some_affine(seed, [1, 1, 1], [0, 0, 0])).orientation
    assert found in ORIENTATIONS


# ── difference ─────────────────────────────────────────────────────────────────────


def moved(grid: Grid, by: float) -> Grid:
    affine = grid.affine.copy()
    affine[0, -1] += by
    return Grid(grid.shape, affine, grid.unit)


@given(seed=seeds, spacing=st.lists(sides, min_size=3, max_size=3))
def test_a_grid_differs_from_itself_in_nothing(seed: int, spacing: list[float]) -> None:
    affine = some_affine(seed, spacing, [-500, 90, 1e3])
    grid = Grid((7, 8, 9), affine)
    rounded = Grid((7, 8, 9), affine.astype(np.float32).astype(float))
    assert grid.difference(grid) == ""
    assert grid.difference(rounded) == ""


def test_differences_in_words() -> None:
    grid = Grid.from_spacing((4, 5, 6), (3.0, 1.0, 1.0))
    turned = grid_to("LPI", grid.shape, grid.spacing)
    upright = grid_to("LPS", grid.shape, grid.spacing)
    assert grid.difference(Grid.from_spacing((4, 5, 7), grid.spacing)) == (
        "shape 4×5×6 against 4×5×7"
    )
    assert grid.difference(Grid(grid.shape, grid.affine, "px")) == (
        "lengths in mm against px"
    )
    assert grid.difference(Grid.from_spacing(grid.shape, (2.5, 1.0, 1.0))) == (
        "spacing 3×1×1 against 2.5×1×1 mm"
    )
    assert grid.difference(moved(grid, 0.25)) == (
        "position or direction: corners up to 0.25 mm apart"
    )
    assert upright.difference(turned) == (  # 3 gaps of 3 mm, to the other side
        "position or direction: corners up to 18 mm apart"
    )


def test_another_number_of_axes_is_another_shape() -> None:
    flat = Grid.from_spacing((5, 6), (1.0, 1.0))
    assert Grid.from_spacing((4, 5, 6), (1.0, 1.0, 1.0)).difference(flat)


@pytest.mark.parametrize(("by", "apart"), [(0.0005, False), (0.01, True)])
def test_a_thousandth_of_a_voxel_is_no_difference(by: float, apart: bool) -> None:
    grid = Grid.from_spacing((4, 5, 6), (3.0, 1.0, 1.0))
    assert bool(grid.difference(moved(grid, by))) is apart


# ── errors ─────────────────────────────────────────────────────────────────────────


def with_value(at: tuple[int, int], value: float) -> np.ndarray:
    affine = np.eye(4)
    affine[at] = value
    return affine


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.eye(3), "a 3D grid needs a 4×4 affine, got (3, 3)"),
        (with_value((0, 3), np.nan), "not a number"),
        (with_value((1, 1), np.inf), "not a number"),
        (with_value((2, 2), 0.0), "must be above zero"),
        (
            np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
            "3 diff",
        ),
    ],
    ids=["size", "nan", "infinite", "zero", "singular"],
)
def test_a_damaged_header_is_said(affine: np.ndarray, words: str) -> None:
    with pytest.raises(InputError) as said:
        Grid((2, 2, 2), affine)
    assert words in str(said.value)
    assert "\n" not in str(said.value)


@given(scale=st.floats(1e-4, 1e4))
def test_small_and_large_voxels_are_not_called_singular(scale: float) -> None:
    assert Grid((2, 2, 2), np.diag([scale] * 3 + [1])).spacing[0] == pytest.approx(
        scale
    )


def test_every_permutation_is_told_apart() -> None:
    shapes = {
        grid_to("".join(letters), (2, 2, 2), (1, 2, 3)).orientation
        for letters in permutations("LPS")
    }
    assert len(shapes) == 6
