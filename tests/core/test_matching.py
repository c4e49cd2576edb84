"""Which label of one map is which of another."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.matching import match_names
from src_models.errors import InputError


def labels(*values: int, **names: int) -> LabelMap:
    data = np.array([values], np.uint16)
    table = LabelTable.of({v: name.replace("_", " ") for name, v in names.items()})
    grid = Grid.from_spacing(data.shape, (1.0, 1.0))
    return LabelMap(data=data, grid=grid, table=table, name="mine")


TRUTH = labels(0, 1, 2, 3, liver=1, left_kidney=2, spleen=3)


def test_by_name_where_numbers_differ() -> None:
    mine = labels(0, 5, 6, 1, Liver=5, **{"LEFT-KIDNEY": 6, "spleen": 1})
    found, said = match_names(mine, TRUTH)
    assert found.data.tolist() == [[0, 1, 2, 3]]
    assert {v: found.table.name(v) for v in found.table}[1] == "Liver"
    assert said.startswith("Labels were matched by name")
    assert "Only in" not in said
    assert mine.data.tolist() == [[0, 5, 6, 1]]  # as it was


def test_what_only_the_prediction_has_is_compared_with_nothing() -> None:
    mine = labels(0, 1, 2, 9, aorta=1, liver=2)
    found, said = match_names(mine, TRUTH)
    aorta, liver, unnamed = found.data[0, 1:]
    assert liver == 1
    assert {aorta, unnamed}.isdisjoint({0, 1, 2, 3})
    assert aorta != unnamed
    assert found.table.name(int(aorta)) == "aorta"
    assert "Only in mine: aorta, label 9." in said


@pytest.mark.parametrize(
    "mine",
    [
        labels(0, 1, 2, liver=1, spleen=3),  # no contradiction
        labels(0, 1, 2),  # no table
        labels(0, 1, 2, Leber=1, Milz=3),  # no name in common: two languages
    ],
)
def test_by_number(mine: LabelMap) -> None:
    assert match_names(mine, TRUTH) == (mine, "")


def test_a_name_twice_is_ambiguous() -> None:
    twice = LabelTable.of({1: "lesion", 2: "lesion"})
    mine = LabelMap(data=TRUTH.data, grid=TRUTH.grid, table=twice)
    theirs = LabelMap(
        data=TRUTH.data, grid=TRUTH.grid, table=LabelTable.of({2: "lesion"})
    )
    assert match_names(mine, theirs) == (mine, "")


def test_a_narrow_type_grows() -> None:
    data = np.array([[0, 1]], np.uint8)
    mine = LabelMap(data=data, grid=TRUTH_GRID, table=LabelTable.of({1: "b"}))
    theirs = LabelMap(
        data=np.array([[0, 700]], np.uint16),
        grid=TRUTH_GRID,
        table=LabelTable.of({700: "b", 1: "a"}),
    )
    assert match_names(mine, theirs)[0].data.tolist() == [[0, 700]]


TRUTH_GRID = Grid.from_spacing((1, 2), (1.0, 1.0))


def test_values_beyond_any_list() -> None:
    mine = LabelMap(
        data=np.array([[0, 2**30]], np.uint32),
        grid=TRUTH_GRID,
        table=LabelTable.of({2**30: "liver"}),
    )
    with pytest.raises(InputError, match="renumber"):
        match_names(mine, TRUTH)


def binary(value: int, **names: int) -> LabelMap:
    return labels(0, value, value, **names)


@pytest.mark.parametrize("named", [{}, {"vessel": 1}])
def test_two_masks_of_one_label_each_are_the_same_structure(named: dict) -> None:
    found, said = match_names(binary(1, **named), binary(255))
    assert found.data.tolist() == [[0, 255, 255]]
    assert [row.name for row in found.table.rows] == list(named)
    assert said == "Each holds one label: 1 of mine was compared with 255 of mine."


def test_two_masks_of_one_label_that_is_named_differently_are_not() -> None:
    mine, theirs = binary(1, artery=1), binary(2, vein=2)
    assert match_names(mine, theirs) == (mine, "")
    empty = labels(0, 0)
    assert match_names(empty, binary(255)) == (empty, "")
