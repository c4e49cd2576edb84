"""Tiny pieces beside a structure."""

from __future__ import annotations

import numpy as np

from src_models.interactive.specks import TINY, without_specks

NOTHING = np.zeros((40, 40), bool)


def pieces() -> np.ndarray:
    """20 × 20 pixels, a speck of 2 × 2, and a second piece of 6 × 6."""
    mask = NOTHING.copy()
    mask[:20, :20] = mask[30:32, 30:32] = mask[30:36, 2:8] = True
    return mask


def test_only_the_speck_goes() -> None:
    left = without_specks(pieces(), NOTHING)
    assert left.sum() == pieces().sum() - 4
    assert not left[30:32, 30:32].any()


def test_what_was_there_or_marked_stays() -> None:
    before = NOTHING.copy()
    before[31, 31] = True
    np.testing.assert_array_equal(without_specks(pieces(), before), pieces())


def test_a_speck_alone_stays() -> None:
    mask = NOTHING.copy()
    mask[3, 3] = True
    np.testing.assert_array_equal(without_specks(mask, NOTHING), mask)
    assert not without_specks(NOTHING, NOTHING).any()


def test_the_share_counts_and_corners_join() -> None:
    mask = NOTHING.copy()
    mask[:20, :20] = True
    mask[20:23, 20:23] = True  # joined by a corner
    mask[30, : int(TINY * 409) + 1] = True
    np.testing.assert_array_equal(without_specks(mask, NOTHING), mask)
    mask[30, 0] = False
    assert not without_specks(mask, NOTHING)[30].any()
