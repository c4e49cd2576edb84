"""Scores slice by slice: by hand, against the whole-volume scores, laws, empty cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from drawing import labels
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from src_models.errors import InputError
from src_models.metrics import (
    counts,
    dice,
    false_labels,
    hausdorff,
    slice_scores_all,
    surface_distances,
    surface_map,
)
from src_models.metrics.surface import surface_voxels

if TYPE_CHECKING:
    from pathlib import Path

MINE = labels("11.. 11.. ....", ".... .... ....", "2... .... ....")
TRUTH = labels("11.. .... ....", "11.. .... ....", "..2. .... ....")
SPACING = (3.0, 1.0, 1.0)


def test_by_hand() -> None:
    found = slice_scores_all(MINE, TRUTH, spacing=SPACING, labels={1: "one", 2: "two"})
    assert (found.values, found.names) == ((1, 2), ("one", "two"))
    assert (found.unit, found.volume_unit) == ("mm", "ml")
    assert found.dice[0, 0].tolist() == [pytest.approx(4 / 6), 0, 1]
    assert found.present[0, 0].tolist() == [True, True, False]
    assert found.false_volume[0, 0] == pytest.approx([2 * 0.003, 2 * 0.003, 0])
    # The second row of the first slice is a pixel from the reference's first row; the
    # second slice of the reference is a slice of 3 mm from the prediction.
    assert found.farthest[0, 0] == pytest.approx([1, 3, 0])
    assert found.spots[0, 0, 0].tolist() in ([0, 1, 0], [0, 1, 1])
    assert found.spots[0, 0, 2].tolist() == [-1, -1, -1]
    assert found.farthest[1, 0] == pytest.approx([0, 0, 2])


def test_along_another_axis() -> None:
    found = slice_scores_all(MINE, TRUTH, spacing=SPACING, axis=2)
    assert found.dice.shape == (2, 1, 4)
    assert found.dice[1, 0].tolist() == [0, 1, 0, 1]


def test_a_picture_is_one_slice() -> None:
    found = slice_scores_all(MINE[0], TRUTH[0], spacing=(1, 1), axis=None)
    assert found.dice.shape == (1, 1, 1)
    assert found.dice.item() == pytest.approx(4 / 6)
    assert found.volume_unit == "mm²"
    assert found.farthest.item() == 1


def test_frames() -> None:
    pair = np.stack([MINE, TRUTH]), np.stack([TRUTH, TRUTH])
    found = slice_scores_all(*pair, spacing=SPACING, has_time=True)
    alone = slice_scores_all(MINE, TRUTH, spacing=SPACING)
    assert found.dice.shape == (2, 2, 3)
    assert (found.dice[:, :1] == alone.dice).all()
    assert (found.spots[:, :1] == alone.spots).all()
    assert (found.dice[:, 1] == 1).all()
    assert (found.farthest[:, 1] == 0).all()


def test_one_side_lacks_the_label() -> None:
    found = slice_scores_all(MINE, np.zeros_like(MINE), spacing=SPACING)
    diagonal = math.hypot(9, 3, 4)
    assert found.dice[0, 0].tolist() == [0, 1, 1]
    assert found.farthest[0, 0] == pytest.approx([diagonal, 0, 0])
    nothing = slice_scores_all(MINE * 0, MINE * 0, spacing=SPACING)
    assert nothing.values == ()
    assert nothing.dice.shape == (0, 1, 3)


volumes = hnp.arrays("u1", (4, 6, 5), elements=st.integers(0, 3))


@given(volumes, volumes, st.sampled_from([0, 1, 2]))
def test_against_each_slice_by_itself(a: np.ndarray, b: np.ndarray, axis: int) -> None:
    found = slice_scores_all(a, b, spacing=SPACING, axis=axis)
    for row, value in enumerate(found.values):
        mine, theirs = a == value, b == value
        for at in range(a.shape[axis]):
            pair = mine.take(at, axis), theirs.take(at, axis)
            assert found.dice[row, 0, at] == dice(counts(*pair))
        apart = surface_distances(mine, theirs, SPACING)
        assert found.farthest[row].max() == pytest.approx(hausdorff(apart))


@given(volumes, volumes)
def test_a_spot_is_a_surface_voxel_as_far_as_said(a: np.ndarray, b: np.ndarray) -> None:
    found = slice_scores_all(a, b, spacing=SPACING)
    for row, value in enumerate(found.values):
        sides = [surface_voxels(x == value) for x in (a, b)]
        if not (sides[0].any() and sides[1].any()):
            continue
        far = [ndimage.distance_transform_edt(~s, sampling=SPACING) for s in sides]
        for at in np.flatnonzero(found.present[row, 0]):
            spot = tuple(found.spots[row, 0, at])
            assert spot[0] == at
            reached = max(far[1 - i][spot] for i in (0, 1) if sides[i][spot])
            assert found.farthest[row, 0, at] == pytest.approx(reached)


def test_500_labels_of_single_voxels() -> None:
    a = np.zeros((10, 20, 20), np.uint16)
    a.reshape(-1)[::8] = np.arange(1, 501)
    found = slice_scores_all(a, a, spacing=(1, 1, 1))
    assert len(found.values) == 500
    assert (found.dice == 1).all()


def test_bad_axis() -> None:
    with pytest.raises(InputError, match="axis of space from 0 to 2"):
        slice_scores_all(MINE, TRUTH, spacing=SPACING, axis=3)


# ── maps ───────────────────────────────────────────────────────────────────────────


@given(volumes, volumes)
def test_the_map_against_scipy(a: np.ndarray, b: np.ndarray) -> None:
    found = surface_map(a, b, spacing=SPACING)
    for value in np.unique(a[a > 0]):
        rim, truth = surface_voxels(a == value), b == value
        if not truth.any():
            assert found[rim] == pytest.approx(math.hypot(12, 6, 5))
            continue
        goal = ~surface_voxels(truth)
        far = ndimage.distance_transform_edt(goal, sampling=SPACING)[rim]
        signed = np.where(truth[rim], -far, far)
        assert found[rim] == pytest.approx(signed, abs=1e-5)
    rims = sum(surface_voxels(a == v).sum() for v in np.unique(a[a > 0]))
    assert np.isfinite(found).sum() == rims


def test_too_much_is_above_zero_too_little_below() -> None:
    small, big = np.zeros((2, 9, 9), int)
    small[3:6, 3:6], big[1:8, 1:8] = 1, 1
    assert np.nanmin(surface_map(big, small, spacing=(1, 1))) > 0
    assert np.nanmax(surface_map(small, big, spacing=(1, 1))) < 0


@given(volumes, volumes)
def test_false_labels(a: np.ndarray, b: np.ndarray) -> None:
    false, missed = false_labels(a, b)
    assert ((false > 0) == ((a > 0) & (a != b))).all()
    assert ((missed > 0) == ((b > 0) & (a != b))).all()
    assert (false[false > 0] == a[false > 0]).all()


def test_real_labels_moved_by_a_voxel(data_dir: Path) -> None:
    import nibabel as nib

    path = next((data_dir / "mri_hippocampus" / "labels").glob("*.nii.gz"))
    truth = np.asarray(nib.load(path).dataobj).T.astype(np.uint8)
    found = slice_scores_all(np.roll(truth, 1, 2), truth, spacing=(1, 1, 1))
    assert found.farthest.max() == 1
    assert 0.5 < found.dice[found.present].mean() < 1
