"""Overlap: by hand, then its laws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from drawing import mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from src_models.errors import InputError
from src_models.metrics import (
    Counts,
    counts,
    dice,
    iou,
    precision,
    sensitivity,
    specificity,
)

READINGS = (dice, iou, sensitivity, specificity, precision)
some_counts = st.builds(Counts, *[st.integers(0, 50)] * 4)


def test_counts_by_hand() -> None:
    prediction = mask("""
        .##.
        .##.
        ....""")
    reference = mask("""
        ##..
        ##..
        ##..""")
    found = counts(prediction, reference)
    assert found == Counts(tp=2, fp=2, fn=4, tn=4)
    assert (found.predicted, found.referenced) == (4, 6)
    assert dice(found) == 0.4  # 2·2 / (4 + 6)
    assert iou(found) == 0.25  # 2 / 8
    assert sensitivity(found) == 2 / 6
    assert precision(found) == 0.5
    assert specificity(found) == 4 / 6


@pytest.mark.parametrize(
    ("found", "case", "overlaps", "outside"),
    [
        (Counts(0, 0, 0, 9), "both empty", 1.0, 1.0),
        (Counts(0, 0, 4, 5), "prediction empty", 0.0, 1.0),
        (Counts(0, 3, 0, 6), "reference empty", 0.0, 6 / 9),
        (Counts(9, 0, 0, 0), "both present", 1.0, 1.0),  # nothing outside at all
        (Counts(0, 0, 9, 0), "prediction empty", 0.0, 1.0),
        (Counts(0, 9, 0, 0), "reference empty", 0.0, 0.0),
        (Counts(0, 2, 2, 5), "both present", 0.0, 5 / 7),
    ],
)
def test_the_house_rule(
    found: Counts, case: str, overlaps: float, outside: float
) -> None:
    assert found.case == case
    assert {f(found) for f in (dice, iou, sensitivity, precision)} == {overlaps}
    assert specificity(found) == outside


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4), elements=st.integers(0, 3)))
def test_every_voxel_is_counted_once(both: npt.NDArray[np.uint8]) -> None:
    prediction, reference = both % 2 == 1, both >= 2
    found = counts(prediction, reference)
    tn, fp, fn, tp = np.bincount(both.ravel(), minlength=4)
    assert found == Counts(tp, fp, fn, tn)


@given(some_counts)
def test_bounds_and_relations(c: Counts) -> None:
    swapped = Counts(c.tp, c.fn, c.fp, c.tn)
    assert all(0 <= reading(c) <= 1 for reading in READINGS)
    assert dice(c) == dice(swapped)
    assert iou(c) == iou(swapped)
    assert sensitivity(c) == precision(swapped)
    assert iou(c) == pytest.approx(dice(c) / (2 - dice(c)))
    assert iou(c) <= dice(c)
    low, high = sorted((sensitivity(c), precision(c)))
    assert low - 1e-12 <= dice(c) <= high + 1e-12  # their harmonic mean


def test_masks_that_cannot_be_compared() -> None:
    yes = np.ones((2, 3), bool)
    with pytest.raises(InputError, match=r"one shape, got 2×3 and 3×2"):
        counts(yes, yes.T)
    with pytest.raises(InputError, match=r"reference: a mask .* got uint8"):
        counts(yes, yes.astype(np.uint8))
