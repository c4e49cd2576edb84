"""Scores as the window shows them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segreview.core.report_table import Cell, Table, table_of
from src_models.metrics import COLUMNS, Report, score_all


def square(value: int, top: int, left: int, side: int = 4) -> np.ndarray:
    labels = np.zeros((12, 12), np.uint8)
    labels[top : top + side, left : left + side] = value
    return labels


def report(guess: np.ndarray, truth: np.ndarray, **changes: object) -> Report:
    settings = {"spacing": (1.0, 1.0), "unit": "mm", "tolerance": 1.5, **changes}
    return score_all(guess, truth, **settings)  # type: ignore[arg-type]


def cell(table: Table, row: int, header: str) -> Cell:
    return table.rows[row][table.headers.index(header)]


def test_headers_have_units_and_hovers_say_the_formula() -> None:
    table = table_of(report(square(1, 2, 2), square(1, 2, 2)))
    assert table.headers[:4] == ("Label", "Dice", "NSD (1.5 mm)", "HD95 (mm)")
    assert "Predicted volume (mm²)" in table.headers
    assert len(table.headers) == len(table.hovers) == len(COLUMNS) + 1
    assert "2 TP / (2 TP + FP + FN)" in table.hovers[1]


def test_numbers_by_hand() -> None:
    # 16 and 16 pixels, 8 in common: Dice 8/16; two columns to the left: 2 mm
    table = table_of(report(square(1, 2, 0), square(1, 2, 2)))
    assert cell(table, 0, "Dice").text == "0.500"
    assert cell(table, 0, "IoU").text == "0.333"
    assert cell(table, 0, "HD95 (mm)").text == "2.00"
    assert cell(table, 0, "Predicted volume (mm²)").text == "16.00"
    assert cell(table, 0, "Dice").key == 0.5
    assert cell(table, 0, "Label") == Cell(
        "label 1", "label 1", "label 1: both present"
    )


def test_a_lesion_of_one_voxel_is_not_nothing() -> None:
    one, two = np.zeros((2, 4, 6, 6), np.uint8)
    one[2, 3, 3] = two[2, 3, 3:5] = 1
    table = table_of(report(one, two, spacing=(2.5, 0.8, 0.8)))
    texts = [
        cell(table, 0, f"{name} (ml)").text
        for name in ("Predicted volume", "Reference volume", "Volume difference")
    ]
    assert texts == ["0.0016", "0.0032", "−0.0016"]


@pytest.mark.parametrize(
    ("guess", "truth", "text"),
    [(3, 4, "−7.00"), (4, 3, "+7.00"), (4, 4, "+0.00")],
)
def test_a_difference_has_a_sign_and_a_true_minus(
    guess: int, truth: int, text: str
) -> None:
    table = table_of(report(square(1, 2, 2, guess), square(1, 2, 2, truth)))
    found = cell(table, 0, "Volume difference (mm²)")
    assert found.text == text
    assert found.key == guess**2 - truth**2


def test_numbers_by_rule_are_in_brackets() -> None:
    table = table_of(report(np.zeros((12, 12), np.uint8), square(1, 2, 2)))
    dice, volume = cell(table, 0, "Dice"), cell(table, 0, "Reference volume (mm²)")
    assert dice.text == "(0.000)"
    assert dice.hover.startswith("By rule, not measured (")
    assert "One empty: 0." in dice.hover
    assert cell(table, 0, "HD95 (mm)").text == f"({np.hypot(12, 12):.2f})"
    assert volume.text == "16.00"  # a size is always measured
    assert not volume.hover.startswith("By rule")


def test_brackets_where_both_are_empty() -> None:
    empty = np.zeros((12, 12), np.uint8)
    table = table_of(report(empty, empty, labels={3: "liver"}))
    assert cell(table, 0, "Label").text == "liver"
    assert cell(table, 0, "Dice").text == "(1.000)"


def test_means_come_last_and_sort_last() -> None:
    guess = square(1, 0, 0) + square(2, 6, 6)
    truth = square(1, 0, 2) + square(2, 6, 6)
    table = table_of(report(guess, truth, labels={1: "zygoma", 2: "Ärmel"}))
    assert [row[0].text for row in table.rows] == ["zygoma", "Ärmel", "mean"]
    assert max(row[0].key for row in table.rows) == table.rows[-1][0].key
    assert cell(table, 2, "Dice").text == "0.750"
    assert cell(table, 2, "Dice").hover == "Plain mean over 2 labels"


def test_one_label_needs_no_mean_and_none_no_row() -> None:
    assert len(table_of(report(square(1, 2, 2), square(1, 2, 2))).rows) == 1
    empty = np.zeros((12, 12), np.uint8)
    assert table_of(report(empty, empty)).rows == ()


def test_every_row_is_as_long_as_the_headers() -> None:
    labels = square(1, 0, 0) + square(2, 6, 6)
    table = table_of(report(labels, labels))
    assert {len(row) for row in table.rows} == {len(table.headers)}
