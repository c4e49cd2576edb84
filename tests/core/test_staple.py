"""STAPLE: against SimpleITK's, and what no implementation may get wrong."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from napari_segreview.core.staple import likelihood, staple
from src_models.progress import drain


def disc(radius: float) -> np.ndarray:
    y, x = np.ogrid[:40, :40]
    return (((y - 20) ** 2 + (x - 20) ** 2) < radius**2).astype(np.uint8)


def found(maps: list[np.ndarray]) -> np.ndarray:
    return drain(staple(maps))


@pytest.mark.parametrize("readers", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_odds_are_itks(readers: int, seed: int) -> None:
    rates = (0.02, 0.2, 0.1, 0.3, 0.05)
    random = np.random.default_rng(seed)
    truth = np.zeros((12, 11, 9), bool)
    truth[2:8, 3:9, 2:7] = True
    maps = [truth ^ (random.random(truth.shape) < rate) for rate in rates[:readers]]
    images = [SimpleITK.GetImageFromArray(one.astype(np.uint8)) for one in maps]
    wanted = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
    drawn, places, counts = np.unique(
        np.stack([one.ravel() for one in maps], 1),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    got = likelihood(drawn, counts)[places.ravel()].reshape(truth.shape)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_labels_are_itks_within_the_box() -> None:
    random = np.random.default_rng(0)
    truth = disc(9).astype(bool)
    rates = (0.02, 0.02, 0.4, 0.4, 0.4)
    readers = [truth ^ (random.random(truth.shape) < rate) for rate in rates]
    images = [SimpleITK.GetImageFromArray(one.astype(np.uint8)) for one in readers]
    wanted = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0)) > 0.5
    got = found([one.astype(np.uint8) for one in readers])
    assert (got == wanted).all()  # noise fills the box: it is the whole picture
    # Three careless readers do not outvote two careful ones, as they do by majority.
    by_votes = sum(one.astype(int) for one in readers) >= 3
    assert (got != truth).sum() < (by_votes != truth).sum() / 2


def test_each_label_is_estimated_in_the_box_of_all() -> None:
    """Two structures far apart: the box of one alone would tell other odds."""
    maps = [disc(r) + 2 * np.roll(disc(4), -14, 1) for r in (6, 8, 10)]
    got = found(maps)
    filled = np.nonzero(np.logical_or.reduce([one > 0 for one in maps]))
    y, x = (slice(side.min() - 2, side.max() + 3) for side in filled)
    for value in (1, 2):
        images = [
            SimpleITK.GetImageFromArray((one[y, x] == value).astype(np.uint8))
            for one in maps
        ]
        odds = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
        assert ((got[y, x] == value) == (odds > 0.5)).all()


def test_background_beyond_the_labels_changes_nothing() -> None:
    maps = [disc(r) for r in (7, 8, 10)]
    wide = [np.pad(one, 300) for one in maps]
    assert (found(wide)[300:-300, 300:-300] == found(maps)).all()


def test_several_labels_nothing_and_one_voxel() -> None:
    two = [disc(6) + 2 * ndimage.shift(disc(4), (0, 14)) for _ in range(3)]
    assert (found(two) == two[0]).all()
    none = np.zeros((5, 5), np.uint8)
    assert not found([none, none]).any()
    dot = none.copy()
    dot[2, 2] = 7
    assert (found([dot, dot, dot]) == dot).all()
    line = np.array([0, 0, 3, 3, 0, 0], np.uint8)
    assert (found([line, line]) == line).all()


def test_what_all_but_a_few_corners_is_filled_with() -> None:
    """Likely even where nobody drew it, as ITK has it: readers miss nine of ten."""
    random = np.random.default_rng(2)
    maps = [(random.random((30, 30)) < 0.1).astype(np.uint8) for _ in range(2)]
    images = [SimpleITK.GetImageFromArray(one) for one in maps]
    odds = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
    assert (found(maps) == (odds > 0.5)).all()


def test_readers_who_share_nothing() -> None:
    one, other = np.zeros((2, 20, 20), np.uint8)
    one[3:6, 3:6] = 1
    other[12:15, 12:15] = 1
    assert set(np.unique(found([one, other]))) <= {0, 1}


def test_500_labels_take_little_and_one_can_stop_between_them() -> None:
    labels = np.zeros((40, 100, 100), np.uint16)
    at = np.arange(500)
    labels[8 * (at // 100) + 2, 10 * (at // 10 % 10) + 3, 10 * (at % 10) + 3] = at + 1
    labels = ndimage.grey_dilation(labels, size=(5, 7, 7))
    moved = np.roll(labels, 1, 1)
    steps = staple([labels, labels, moved])
    told = [next(steps) for _ in range(3)]
    assert [(one.done, one.total) for one in told] == [(0, 500), (1, 500), (2, 500)]
    got = drain(steps)
    assert (got == labels).mean() > 0.99


@pytest.mark.parametrize("readers", [1, 9, 17])
def test_any_number_of_readers(readers: int) -> None:
    assert (found([disc(8)] * readers) == disc(8)).all()
