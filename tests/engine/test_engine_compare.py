"""Two label maps that can be compared, and those that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_model import grid_to

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.engine import LocalEngine
from napari_segreview.engine.evaluate import compare
from src_models.errors import InputError
from src_models.progress import drain

if TYPE_CHECKING:
    from src_models.metrics import Report

GRID = Grid.from_spacing((6, 8, 10), (2.0, 1.0, 1.0))


def labels(name: str, *lead: int, first: int = 2, **changes: Any) -> LabelMap:
    data = np.zeros((*lead, *GRID.shape), np.uint8)
    data[..., 1:5, 2:6, first : first + 4] = 1
    return LabelMap(**{"data": data, "grid": GRID, "name": name, **changes})


def compared(guess: LabelMap, truth: LabelMap, tolerance: float = 2.0) -> Report:
    return drain(compare(guess, truth, tolerance))


def test_by_hand() -> None:
    pair = labels("guess"), labels("truth", first=3)
    report = drain(LocalEngine().review(*pair, 1.5)).report
    assert (report.prediction, report.reference) == ("guess", "truth")
    assert (report.unit, report.tolerance, report.spacing) == ("mm", 1.5, (2, 1, 1))
    row = report.rows[0]
    assert row.dice == 0.75  # 4×4×4 each, a column apart: 48 of 64 in common
    assert row.hd95 == 1.0
    assert row.volume_prediction == pytest.approx(0.128)  # 64 × 2 mm³


def test_nothing_on_either_side_is_said() -> None:
    none = labels("none")
    none.data[:] = 0
    report = compared(none, none)
    assert report.rows == ()
    assert report.notes == ("Neither side has a label: there is nothing to compare.",)
    assert compared(none, labels("truth")).notes == ()


def test_names_of_both_tables_and_the_references_counts() -> None:
    guess = labels("guess", table=LabelTable.of({1: "Leber", 2: "Milz"}))
    truth = labels("truth", table=LabelTable.of({1: "liver", 3: "kidney"}))
    rows = compared(guess, truth).rows
    assert [row.name for row in rows] == ["liver", "Milz", "kidney"]
    assert rows[0].case == "both present"


def test_frames_are_scored_together() -> None:
    guess, truth = labels("guess", 2), labels("truth", 2)
    guess.data[1] = 0
    report = compared(guess, truth)
    assert report.rows[0].dice == pytest.approx(2 / 3)  # 64 of 64 + 128
    assert report.rows[0].volume_reference == pytest.approx(0.128)  # mean of frames


MOVED = grid_to("LPS", GRID.shape, GRID.spacing)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (
            LabelMap(
                data=np.zeros((6, 8, 9), np.uint8),
                grid=Grid.from_spacing((6, 8, 9), (2.0, 1.0, 1.0)),
                name="truth",
            ),
            "(shape 6×8×10 against 6×8×9); export both on the scan's own grid",
        ),
        (labels("truth", grid=MOVED), "(position or direction: corners up to 400 mm "),
        (labels("truth", grid=Grid(GRID.shape, GRID.affine, "px")), "(lengths in mm "),
        (
            labels("truth", 2),
            "guess and truth cannot be compared: only one of them has ",
        ),
    ],
    ids=["shape", "place", "unit", "time"],
)
def test_grids_that_differ_are_refused_in_words(truth: LabelMap, words: str) -> None:
    with pytest.raises(InputError) as said:
        compared(labels("guess"), truth)
    assert words in str(said.value)
    assert "guess and truth" in str(said.value)


def test_another_number_of_frames() -> None:
    with pytest.raises(InputError, match="2 frames against 3"):
        compared(labels("guess", 2), labels("truth", 3))


def test_a_tolerance_of_nothing() -> None:
    with pytest.raises(InputError, match="tolerance"):
        compared(labels("guess"), labels("truth"), 0.0)
