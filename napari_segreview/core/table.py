"""A table as the window and the command line show it: texts, sort keys, hovers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `key` is what the column sorts by; without a hover the header's counts."""

    text: str
    key: float | str
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Headers with their hover texts, and rows of cells.

    `keys` names the rows, where they have a name that is not shown.
    """

    headers: tuple[str, ...]
    hovers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    keys: tuple[str, ...] = ()

    def hover(self, row: int, column: int) -> str:
        """What a cell means: its own words, else those of its header."""
        return self.rows[row][column].hover or self.hovers[column]


def has_all(texts: Iterable[str], words: str) -> bool:
    """Whether each of the words occurs in the texts, whatever its case."""
    text = " ".join(texts).casefold()
    return all(word in text for word in words.casefold().split())
