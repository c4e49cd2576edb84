"""The catalogue as tables: whole, searchable, in plain words."""

from __future__ import annotations

import pytest

from napari_segreview.core.zoo_table import (
    in_words,
    matches,
    millions,
    voc_table,
    zoo_table,
)
from src_models.catalog import CARDS
from src_models.catalog.voc2012 import VOC2012
from src_models.errors import InputError


def test_every_system_has_a_full_row() -> None:
    table = zoo_table()
    assert table.keys == tuple(CARDS)
    assert {len(row) for row in table.rows} == {len(table.headers)}
    assert all(cell.text and cell.hover for row in table.rows for cell in row)
    assert len(table.hovers) == len(table.headers)


def test_columns_sort_by_numbers_where_they_show_numbers() -> None:
    for row in zoo_table().rows:
        kinds = [type(cell.key) for cell in row]
        assert kinds == [str, float, str, float, float, float, str]


@pytest.mark.parametrize(
    ("words", "there", "not_there"),
    [
        ("vnet", "vnet", "unet"),
        ("RONNEBERGER", "unet", "vnet"),
        ("2015 encoder", "segnet", "vnet"),  # both words, in any order
        ("promise12", "vnet", "unet"),  # where it was measured
        ("3d", "unet", "deeplabv3-plus"),
        ("paper-67", "fc-densenet", "unet"),
    ],
)
def test_rows_that_have_all_the_words(words: str, there: str, not_there: str) -> None:
    keys = zoo_table(words).keys
    assert there in keys
    assert not_there not in keys


def test_the_figure_of_a_system_is_not_that_of_one_built_on_it() -> None:
    """76.3 on VOC 2012 took a learnt domain transform as well."""
    row = zoo_table("attention-to-scale").rows[0]
    assert "75.7 (COCO)" in [cell.text for cell in row]


def test_nothing_found_is_an_empty_table() -> None:
    assert zoo_table("no such words").rows == ()
    assert matches(CARDS["unet"], "")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "–"), (124_769, "0.12 M"), (31_030_658, "31.0 M")]
)
def test_counts_in_millions(count: int, text: str) -> None:
    assert millions(count) == text


def test_one_system_in_words() -> None:
    lines = in_words("vnet")
    assert lines[0] == "V-Net · Milletari, Navab & Ahmadi, 3DV 2016"
    assert "paper, 3D: 61,982,682 parameters, 1 channel(s), 2 class(es)" in lines
    assert "PROMISE12, 30 test cases: Dice 0.869 ± 0.033 (Dice loss, recalled)" in lines
    with pytest.raises(InputError, match="did you mean 'vnet'"):
        in_words("vnett")


def test_the_voc_summary_names_the_extra_data_of_every_row() -> None:
    table = voc_table()
    assert len(table.rows) == len(VOC2012)
    at = table.headers.index("Extra data")
    assert all(row[at].text for row in table.rows)
    assert all(0 < row.miou < 100 for row in VOC2012)
    assert {row.system for row in VOC2012} <= {"", *CARDS}
