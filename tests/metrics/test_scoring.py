"""Label volumes → report: rows by hand, every kind of input, what is refused."""

from __future__ import annotations

import math
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import labels

from src_models.errors import InputError
from src_models.metrics import LabelScore, Report, score, score_all
from src_models.metrics.boxes import foreground_box, label_boxes
from src_models.progress import Progress

PREDICTION = labels(
    "11..\n11..\n....",
    "11..\n11..\n..33",
)
REFERENCE = labels(
    "11..\n11..\n.2..",
    "1...\n1...\n.2..",
)
SPACING = (3.0, 2.0, 1.0)
DIAGONAL = math.hypot(2 * 3, 3 * 2, 4 * 1)


def test_rows_by_hand() -> None:
    report = score_all(
        PREDICTION,
        REFERENCE,
        spacing=SPACING,
        tolerance=1.0,
        labels={0: "background", 1: "one", 2: "two", 4: "four"},
        names=("net", "Dr. A"),
    )
    one, two, three, four = report.rows
    assert [row.name for row in report.rows] == ["one", "two", "label 3", "four"]
    assert [row.value for row in report.rows] == [1, 2, 3, 4]
    assert one == LabelScore(
        value=1,
        name="one",
        case="both present",
        dice=12 / 14,
        iou=6 / 8,
        sensitivity=1.0,
        specificity=16 / 18,
        precision=6 / 8,
        hd95=1.0,  # 0 0 0 0 0 0 1 1 and 0 0 0 0 0 0
        assd=2 / 14,
        nsd=1.0,
        volume_prediction=pytest.approx(0.048),  # 8 voxels of 6 mm³
        volume_reference=pytest.approx(0.036),
        volume_difference=pytest.approx(0.012),
        boundary_iou=6 / 8,  # all their voxels are rim
    )
    assert [row.case for row in (two, three, four)] == [
        "prediction empty",
        "reference empty",
        "both empty",
    ]
    assert two.volume_difference == pytest.approx(-0.012)
    for lonely in (two, three):
        assert (lonely.dice, lonely.iou, lonely.nsd) == (0, 0, 0)
        assert lonely.hd95 == lonely.assd == pytest.approx(DIAGONAL)
    assert (three.specificity, two.specificity) == (22 / 24, 1)
    assert (four.dice, four.nsd, four.hd95, four.volume_reference) == (1, 1, 0, 0)
    assert (report.prediction, report.reference) == ("net", "Dr. A")
    assert (report.unit, report.volume_unit) == ("mm", "ml")
    assert (report.tolerance, report.spacing) == (1.0, SPACING)


def test_it_tells_how_far_it_is() -> None:
    steps = score(PREDICTION, REFERENCE, spacing=SPACING, labels={2: "two"})
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            report = end.value
            break
    assert told == [
        Progress(1, 3, "label 1"),
        Progress(2, 3, "two"),
        Progress(3, 3, "label 3"),
    ]
    assert isinstance(report, Report)
    assert report == score_all(
        PREDICTION, REFERENCE, spacing=SPACING, labels={2: "two"}
    )


@pytest.mark.parametrize(
    ("unit", "spacing", "volume", "volume_unit"),
    [
        ("mm", (0.5, 0.5), 1.0, "mm²"),
        ("px", (1, 1), 4.0, "px"),
        ("mm", (2.0, 0.5, 0.5), 0.002, "ml"),
        ("px", (1, 1, 1), 4.0, "px"),
    ],
)
def test_units_of_volume(
    unit: Any, spacing: tuple[float, ...], volume: float, volume_unit: str
) -> None:
    plane = labels("11.\n11.")
    data = plane if len(spacing) == 2 else plane[None]
    report = score_all(data, data, spacing=spacing, unit=unit)
    assert report.volume_unit == volume_unit
    assert report.rows[0].volume_reference == pytest.approx(volume)


def test_a_mask_is_label_one() -> None:
    report = score_all(PREDICTION == 1, REFERENCE == 1, spacing=SPACING)
    expected = score_all(
        PREDICTION * (PREDICTION == 1), REFERENCE == 1, spacing=SPACING
    )
    assert report == expected
    assert [row.value for row in report.rows] == [1]


def test_no_label_at_all() -> None:
    report = score_all(np.zeros((3, 3), int), np.zeros((3, 3), int), spacing=(1, 1))
    assert (report.rows, report.mean) == ((), {})


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">i2"]
)
def test_every_type_of_label(dtype: str) -> None:
    expected = score_all(PREDICTION, REFERENCE, spacing=SPACING)
    other = np.asfortranarray(PREDICTION.astype(dtype))
    assert score_all(other, REFERENCE, spacing=SPACING) == expected
    assert score_all(other[:, ::-1], REFERENCE[:, ::-1], spacing=SPACING) == expected


@pytest.mark.parametrize("value", [5000, 65_535, 65_536, 2**31, 2**63])
def test_large_and_sparse_values(value: int) -> None:
    prediction = PREDICTION.astype(np.uint64)
    prediction[prediction == 3] = value
    report = score_all(prediction, REFERENCE, spacing=SPACING)
    expected = score_all(PREDICTION, REFERENCE, spacing=SPACING)
    assert [row.value for row in report.rows] == [1, 2, value]
    assert [row.dice for row in report.rows] == [row.dice for row in expected.rows]
    assert [row.hd95 for row in report.rows] == [row.hd95 for row in expected.rows]


def test_large_values_without_background() -> None:
    data = np.where(labels("112\n112") == 1, 70_000, 80_000)
    assert label_boxes(data) == {70_000: np.s_[0:2, 0:2], 80_000: np.s_[0:2, 2:3]}


def test_boxes_of_labels() -> None:
    assert label_boxes(PREDICTION) == {
        1: np.s_[0:2, 0:2, 0:2],
        3: np.s_[1:2, 2:3, 2:4],
    }
    assert label_boxes(np.zeros((2, 2), int)) == {}
    assert foreground_box(PREDICTION[1] == 3) == np.s_[2:3, 2:4]
    assert foreground_box(np.zeros((0, 2))) is None


# Time


def test_frames() -> None:
    prediction = labels("11..\n....", "....\n....", "....\n....", "11..\n....")
    reference = labels("11..\n....", ".11.\n....", "....\n....", ".11.\n....")
    report = score_all(
        prediction, reference, spacing=(2, 1), tolerance=0.5, has_time=True
    )
    (row,) = report.rows
    assert row.dice == 2 * 3 / (4 + 6)
    assert row.specificity == 25 / 26
    # frames: 0 0 both ways; the reference alone, once; nothing; 1 0 and 0 1
    diagonal = math.hypot(4, 4)
    assert row.assd == pytest.approx((1 + 1 + diagonal) / 9)
    assert row.nsd == 6 / 9
    assert row.hd95 == pytest.approx(1 + 0.8 * (diagonal - 1))  # of 0 0 0 1 diagonal
    assert row.volume_prediction == 4 * 2 / 4  # mm², the mean of four frames
    assert row.volume_difference == pytest.approx(-2 * 2 / 4)
    assert report.volume_unit == "mm²"
    assert report.spacing == (2, 1)


def test_one_frame_is_its_image() -> None:
    image = score_all(PREDICTION, REFERENCE, spacing=SPACING)
    film = score_all(PREDICTION[None], REFERENCE[None], spacing=SPACING, has_time=True)
    assert film == image


def test_surfaces_do_not_reach_into_the_next_frame() -> None:
    film = np.ones((3, 5, 5), np.uint8)
    moved = film.copy()
    moved[1, 0] = 0
    row = score_all(film, moved, spacing=(1, 1), has_time=True).rows[0]
    # a frame's rim is 16 pixels, 14 without its first row; that row's five lie outside
    # by 1, and so do the three inner ones of the new rim
    assert row.assd == pytest.approx((5 + 3) / (16 * 5 + 14))


# What is refused


YES = np.ones((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("prediction", "reference", "options", "message"),
    [
        (YES, YES.T, {}, "must have one shape, got 2×3 and 3×2"),
        (YES, YES * 0.5, {}, "reference: whole numbers .* got float64"),
        (YES, YES.astype(complex), {}, "reference: whole numbers"),
        (YES - np.int16(3), YES, {}, "prediction: labels must be 0 or more, got -2"),
        (YES[:0], YES[:0], {}, "prediction: no voxels in an array of shape 0×3"),
        (YES, YES, {"spacing": (1, 0)}, "spacing of 2 lengths above zero"),
        (YES, YES, {"spacing": (1, math.nan)}, "spacing of 2 lengths above zero"),
        (YES, YES, {"spacing": (1, 1, 1)}, "spacing of 2 lengths .* got 1×1×1"),
        (YES, YES, {"spacing": ()}, "spacing of 2 lengths .* got none"),
        (YES, YES, {"tolerance": 0}, "tolerance above zero is wanted, got 0"),
        (YES, YES, {"tolerance": math.nan}, "tolerance above zero"),
        (YES, YES, {"labels": {-1: "x"}}, "label table .* got -1"),
        (YES, YES, {"has_time": True}, "2 or 3 axes of space .* got 1 and one of time"),
        (YES[0], YES[0], {}, "2 or 3 axes of space .* got 1 in an array of shape 3"),
    ],
)
def test_refused(prediction: Any, reference: Any, options: Any, message: str) -> None:
    steps = score(prediction, reference, **({"spacing": (1, 1)} | options))
    with pytest.raises(InputError, match=message) as told:
        next(steps)
    assert "\n" not in str(told.value)


# What it costs


def test_memory_grows_with_the_label_and_not_with_the_volume() -> None:
    prediction, reference = np.zeros((2, 60, 200, 200), np.uint16)
    for value in range(1, 9):
        at = 6 * value
        prediction[at : at + 5, at : at + 20, at : at + 20] = value
        reference[at : at + 4, at : at + 21, at : at + 19] = value
    score_all(prediction[:9], reference[:9], spacing=(1, 1, 1))  # wakes scipy
    tracemalloc.start()
    score_all(prediction, reference, spacing=(1, 1, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < prediction.nbytes / 2


def test_scoring_wakes_neither_torch_nor_monai() -> None:
    code = """
import sys
import src_models.metrics as metrics
assert "scipy" not in sys.modules, "importing woke scipy"
metrics.score_all([[0, 1], [1, 1]], [[1, 1], [0, 1]], spacing=(1, 1)).to_json()
awake = {"torch", "monai", "napari", "qtpy"} & set(sys.modules)
assert not awake, awake
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
