"""The ways of training as a table one can search, and one of them in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.table import Cell, Table, has_all
from napari_segreview.core.zoo_table import results
from src_models.catalog.methods import METHODS, find_method

if TYPE_CHECKING:
    from src_models.catalog.methods import MethodCard

HEADERS = {
    "Method": "The name a recipe calls it by",
    "Year": "Of the paper",
    "Theme": "What it has beside whole masks and a loss, or in their place",
    "Title": "As it is known",
}


def methods_table(words: str = "") -> Table:
    """A row a method that has all the words, anywhere in what is known of it."""
    cards = [card for card in METHODS.values() if method_matches(card, words)]
    return Table(
        headers=tuple(HEADERS),
        hovers=tuple(HEADERS.values()),
        rows=tuple(_row(card) for card in cards),
        keys=tuple(card.name for card in cards),
    )


def method_matches(card: MethodCard, words: str) -> bool:
    """Whether each word occurs in the card's texts, whatever its case."""
    texts = (
        card.name,
        card.title,
        card.theme,
        card.paper,
        card.distinctive,
        str(card.year),
        *card.choices,
        *results(card),
    )
    return has_all(texts, words)


def method_in_words(name: str) -> tuple[str, ...]:
    """What is known of one method, a line each; raises InputError for another name."""
    card = find_method(name)
    return (
        f"{card.title} · {card.paper}",
        card.reference,
        card.distinctive,
        *(f"Chosen here: {choice}" for choice in card.choices),
        *results(card),
    )


def _row(card: MethodCard) -> tuple[Cell, ...]:
    return (
        Cell(card.name, card.name, card.distinctive),
        Cell(str(card.year), float(card.year), card.paper),
        Cell(card.theme, card.theme, card.distinctive),
        Cell(card.title, card.title, card.paper),
    )
