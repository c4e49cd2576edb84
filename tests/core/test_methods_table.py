"""The ways of training as a table: whole, searchable, in plain words."""

from __future__ import annotations

import pytest

from napari_segreview.core.methods_table import method_in_words, methods_table
from src_models.catalog.methods import METHODS
from src_models.errors import InputError


def test_every_method_has_a_full_row() -> None:
    table = methods_table()
    assert table.keys == tuple(METHODS)
    assert {len(row) for row in table.rows} == {len(table.headers)}
    assert all(cell.text and cell.hover for row in table.rows for cell in row)
    assert len(table.hovers) == len(table.headers)


@pytest.mark.parametrize(
    "words", ["RANDOM-contrasts", "billot 2023", "synthesis painted"]
)
def test_rows_that_have_all_the_words(words: str) -> None:
    assert "random-contrasts" in methods_table(words).keys
    assert "learned-transforms" not in methods_table(words).keys


@pytest.mark.parametrize("name", METHODS)
def test_one_method_in_words(name: str) -> None:
    card, lines = METHODS[name], method_in_words(name)
    assert lines[0] == f"{card.title} · {card.paper}"
    assert lines[1:3] == (card.reference, card.distinctive)
    assert len(lines) == 3 + len(card.choices) + len(card.results)


def test_another_name() -> None:
    with pytest.raises(InputError, match="did you mean 'random-contrasts'"):
        method_in_words("random-contrast")
