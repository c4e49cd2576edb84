"""Boundary IoU: by hand, against erosion and brute force, laws, the empty cases."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial.distance import cdist

from src_models.errors import InputError
from src_models.metrics import boundary as module
from src_models.metrics import boundary_counts, iou, score_all
from src_models.metrics.surface import surface_voxels

BIG = np.zeros((20, 20), bool)
BIG[2:18, 2:18] = True


def test_by_hand() -> None:
    mine = mask("###### ###### ###### ###### ###### ......")
    theirs = mask("###### ###### ###### ###### ###### ######")
    # Rims one pixel wide: 18 and 20 pixels; in common the first row and the two sides.
    found = boundary_counts(mine, theirs, (1, 1), 0.5)
    assert (found.predicted, found.referenced) == (18, 20)
    assert found.tp == 6 + 2 * 4
    assert iou(found) == 14 / 24


def test_the_rim_of_one_pixel_is_what_erosion_takes() -> None:
    taken = BIG & ~ndimage.binary_erosion(BIG)
    assert (module.rim(BIG, (1.0, 1.0), 0.5) == taken).all()


def test_it_sees_what_dice_does_not() -> None:
    moved = np.roll(BIG, 1, 0)
    report = score_all(moved, BIG, spacing=(1, 1), tolerance=0.5)
    assert report.rows[0].dice > 0.93
    assert report.rows[0].boundary_iou < 0.4


def brute(m: np.ndarray, spacing: tuple[float, ...], width: float) -> np.ndarray:
    out = np.zeros_like(m)
    rim, all_ = np.argwhere(surface_voxels(m)), np.argwhere(m)
    if len(all_):
        near = cdist(all_ * spacing, rim * spacing).min(1) <= width * (1 + 1e-5)
        out[tuple(all_[near].T)] = True
    return out


@given(
    hnp.arrays(bool, (4, 9, 8)),
    st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.8, 0.8), (0.3, 4.0, 1.0)]),
    st.sampled_from([0.5, 0.8, 1.6, 2.0, 5.0, 100.0]),
    st.booleans(),
)
def test_against_brute_force(
    noise: np.ndarray, spacing: tuple[float, ...], width: float, full: bool
) -> None:
    m = ndimage.binary_closing(noise, iterations=2) | noise if full else noise
    found = module.rim(m, spacing, width * (1 + 1e-5))
    assert (found == brute(m, spacing, width)).all()


@pytest.mark.parametrize("width", [0.8, 2.0, 3.0])
def test_both_ways_agree(width: float, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).random((12, 20, 20))
    m = ndimage.gaussian_filter(noise, 2) > 0.5
    monkeypatch.setattr(module, "_MARKS_A_VOXEL", 10**9)
    marked = module.rim(m, (2.5, 0.8, 0.8), width * (1 + 1e-5))
    monkeypatch.setattr(module, "_MARKS_A_VOXEL", 0)
    assert (module.rim(m, (2.5, 0.8, 0.8), width * (1 + 1e-5)) == marked).all()


masks = hnp.arrays(bool, (7, 8))


@given(masks, masks)
def test_laws(a: np.ndarray, b: np.ndarray) -> None:
    there, back = boundary_counts(a, b, (1, 2), 1), boundary_counts(b, a, (1, 2), 1)
    assert iou(there) == iou(back)
    assert 0 <= iou(there) <= 1
    assert iou(boundary_counts(a, a, (1, 2), 1)) == 1
    # A rim as wide as the image is the mask.
    whole = boundary_counts(a, b, (1, 2), 100)
    assert whole.tp == (a & b).sum()


def test_empty_sides_and_a_single_voxel() -> None:
    none, one = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    one[2, 2] = True
    assert iou(boundary_counts(none, none, (1, 1), 1)) == 1
    assert iou(boundary_counts(one, none, (1, 1), 1)) == 0
    assert iou(boundary_counts(none, one, (1, 1), 1)) == 0
    assert iou(boundary_counts(one, one, (1, 1), 1)) == 1


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="above zero"):
        boundary_counts(BIG, BIG, (1, 1), 0)
