"""Six cases of 8×8 pixels with the values that MONAI 1.6 gives for them, written out.

Where one side is empty the house rule stands in for MONAI's NaN and infinity.
"""

from __future__ import annotations

import math

import pytest
from drawing import labels

from src_models.metrics import counts, hausdorff, score_all, surface_distances

EMPTY = labels("\n".join(["........"] * 8))
BOX = labels("""
    ........
    ........
    ..1111..
    ..1111..
    ..1111..
    ........
    ........
    ........""")
SHIFT = labels("""
    ........
    ........
    ........
    ..1111..
    ..1111..
    ..1111..
    ........
    ........""")
STRAY = labels("""
    ........
    ........
    ..1111..
    ..1111..
    ..1111..
    ........
    ........
    .......1""")
CASES = {
    "both empty": (EMPTY, EMPTY),
    "prediction empty": (EMPTY, BOX),
    "reference empty": (BOX, EMPTY),
    "same": (BOX, BOX),
    "shift": (SHIFT, BOX),
    "stray": (STRAY, BOX),
}
ROOT = math.sqrt(128)  # the diagonal of 8×8 pixels

GOLDEN = {  # in the order of CASES; NSD at a tolerance of 1
    "dice": (1, 0, 0, 1, 0.6667, 0.96),
    "iou": (1, 0, 0, 1, 0.5, 0.9231),
    "sensitivity": (1, 0, 0, 1, 0.6667, 1),
    "precision": (1, 0, 0, 1, 0.6667, 0.9231),
    "specificity": (1, 1, 0.8125, 1, 0.9231, 0.9808),
    "hausdorff": (0, ROOT, ROOT, 0, 1, 3.6056),
    "hd95": (0, ROOT, ROOT, 0, 1, 1.8028),
    "assd": (0, ROOT, ROOT, 0, 0.6, 0.1717),
    "nsd": (1, 0, 0, 1, 1, 0.9524),
}


@pytest.mark.parametrize("key", GOLDEN)
@pytest.mark.parametrize("case", CASES)
def test_golden(key: str, case: str) -> None:
    prediction, reference = CASES[case]
    expected = GOLDEN[key][list(CASES).index(case)]
    if key == "hausdorff":
        d = surface_distances(prediction == 1, reference == 1, (1, 1))
        found = hausdorff(d)
    else:
        report = score_all(
            prediction,
            reference,
            spacing=(1, 1),
            unit="px",
            tolerance=1,
            labels={1: "box"},
        )
        found = getattr(report.rows[0], key)
    assert found == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_told(case: str) -> None:
    prediction, reference = CASES[case]
    told = case if "empty" in case else "both present"
    assert counts(prediction == 1, reference == 1).case == told
