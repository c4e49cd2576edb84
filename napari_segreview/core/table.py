"""A table as the window and the command line show it: texts, sort keys, hovers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `key` is what the column sorts by."""

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
