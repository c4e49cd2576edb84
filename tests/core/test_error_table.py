"""The worst slices first, and the table of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segreview.core.error_table import (
    MOST,
    ErrorSpot,
    amount,
    strip,
    table_of_errors,
    where,
    worst,
)
from src_models.metrics import SliceScores, slice_scores_all

TRUTH = np.zeros((6, 20, 20), np.uint8)
TRUTH[1:5, 4:12, 4:12] = 1
TRUTH[2:4, 14:18, 14:18] = 2


def scored() -> SliceScores:
    guess = TRUTH.copy()
    guess[1] = 0  # 64 voxels of label 1 are missed, nothing else there
    guess[3, 4:6, 4:12] = 0  # 16 of label 1
    guess[2, 14:18, 14:18] = 0  # all 16 of label 2 there
    guess[0, 0, 0] = 2  # a single voxel far away
    names = {1: "liver", 2: "spleen"}
    return slice_scores_all(guess, TRUTH, spacing=(5, 1, 1), labels=names)


def places(spots: tuple[ErrorSpot, ...]) -> list[tuple[str, int]]:
    return [(spot.name, spot.slice) for spot in spots]


def test_orders() -> None:
    slices = scored()
    volume = places(worst(slices, "volume"))
    assert volume[0] == ("liver", 1)
    assert set(volume[1:3]) == {("liver", 3), ("spleen", 2)}
    assert volume[3:] == [("spleen", 0)]
    # Three slices have Dice 0: the larger volume comes first among equals.
    dice = places(worst(slices, "dice"))
    assert dice == [("liver", 1), ("spleen", 2), ("spleen", 0), ("liver", 3)]
    assert places(worst(slices, "distance"))[0] == ("spleen", 0)


def test_a_spot_says_what_the_slice_holds() -> None:
    spot = worst(scored(), "distance")[0]
    assert spot.index == (0, 0, 0)
    assert spot.farthest == pytest.approx(np.hypot(10, np.hypot(14, 14)))
    assert spot.false_volume == pytest.approx(0.005)


def test_frames_come_first_in_the_index() -> None:
    still = np.stack([TRUTH, TRUTH])
    moved = still.copy()
    moved[1, 1] = 0
    slices = slice_scores_all(moved, still, spacing=(5, 1, 1), has_time=True)
    (spot,) = worst(slices)
    assert (spot.frame, spot.slice) == (1, 1)
    assert spot.index[:2] == (1, 1)
    assert where(spot, slices) == "frame 1 · slice 1"


def test_the_table() -> None:
    slices = scored()
    spots = worst(slices)
    table = table_of_errors(spots, slices)
    assert table.headers == ("Label", "Slice", "Dice", "False\nml", "Max\nmm")
    assert [cell.text for cell in table.rows[0]] == [
        "liver",
        "1",
        "0.000",
        "0.32",
        "5.0",
    ]
    assert table.keys == ("0", "1", "2", "3")


def test_no_more_than_anybody_visits() -> None:
    truth = np.zeros((MOST + 50, 3, 3), np.uint8)
    truth[:, 1, 1] = 1
    slices = slice_scores_all(truth * 0, truth, spacing=(1, 1, 1))
    assert len(worst(slices)) == MOST
    assert worst(slice_scores_all(truth, truth, spacing=(1, 1, 1))) == ()


def test_the_strip() -> None:
    slices = scored()
    assert strip(slices, 1) == (0.0, None, 0.0, 1.0, None, None)
    pooled = strip(slices)
    assert pooled[1] == 0.0
    assert pooled[2] == pytest.approx(2 * 64 / (64 + 80))
    assert pooled[5] is None


def test_amounts() -> None:
    assert [amount(v) for v in (0.0123, 5.351, 20541.0)] == ["0.0123", "5.35", "20541"]
