"""Which label of one map is which of another."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.labels import LabelMap, LabelTable
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_VALUES = 2**24  # a list with a place for each is then 64 MB


def match_names(prediction: LabelMap, reference: LabelMap) -> tuple[LabelMap, str]:
    """The prediction with the reference's values, and in words what was done.

    The prediction itself and "" where the numbers can stay; see `renumbering`.
    """
    new, said = renumbering(prediction, reference)
    return renumbered(prediction, new), said


def renumbering(
    prediction: LabelMap, reference: LabelMap
) -> tuple[dict[int, int], str]:
    """Which values of a prediction become which of the reference, and why in words.

    Tables that do not contradict each other are matched by number, and so are tables
    without a name in common (two languages) or with one name twice. All others are
    matched by name, whatever its case, spaces and hyphens; a structure that only the
    prediction has gets a value of its own, so that nothing is compared with it.

    Returns
    -------
    dict, str
        Old → new value, of every value that is there; empty, and "", where the numbers
        can stay.

    Raises
    ------
    InputError
        If a value is too large for a list of all values.
    """
    if pair := _single(prediction, reference):
        return dict([pair]), (
            f"Each holds one label: {pair[0]} of {prediction.name} was compared with "
            f"{pair[1]} of {reference.name}."
        )
    theirs = _values_by_name(reference.table)
    mine = _values_by_name(prediction.table)
    if not _contradict(prediction.table, reference.table) or not (
        mine.keys() & theirs.keys()
    ):
        return {}, ""
    highest = int(prediction.data.max(initial=0))
    if highest >= MOST_VALUES:
        raise InputError(
            f"{prediction.name}: labels below {MOST_VALUES} can be matched by name, got "
            f"{highest}; renumber them"
        )
    used = sorted({*prediction.table, *np.flatnonzero(_held(prediction.data, highest))})
    free = max([*reference.table, int(reference.data.max(initial=0)), *used])
    new: dict[int, int] = {}
    for value in map(int, used):
        name = _plain(prediction.table.name(value))
        if value and value in prediction.table and name in theirs:
            new[value] = theirs[name]
        elif value:
            free += 1
            new[value] = free
    alone = [v for v in new if new[v] not in theirs.values()]
    return new, _told(prediction, alone)


def _told(prediction: LabelMap, alone: list[int]) -> str:
    said = "Labels were matched by name, since the numbers of the two tables differ."
    if alone:
        names = ", ".join(prediction.table.name(value) for value in alone)
        said += f" Only in {prediction.name}: {names}."
    return said


def _single(prediction: LabelMap, reference: LabelMap) -> tuple[int, int] | None:
    """The only labels of both, if they differ in number and not in name."""
    pair = tuple(_only(one) for one in (prediction, reference))
    mine, theirs = pair
    if mine is None or theirs is None or mine == theirs:
        return None
    named = mine in prediction.table and theirs in reference.table
    names = _plain(prediction.table.name(mine)), _plain(reference.table.name(theirs))
    return None if named and names[0] != names[1] else (mine, theirs)


def _only(labels: LabelMap) -> int | None:
    """The label that is there alone, in the voxels and in the table."""
    highest = int(labels.data.max(initial=0))
    others = labels.table.keys() - {highest}
    if not 0 < highest < MOST_VALUES or others:
        return None
    alone = np.count_nonzero(labels.data) == np.count_nonzero(labels.data == highest)
    return highest if alone else None


def renumbered(labels: LabelMap, new: Mapping[int, int]) -> LabelMap:
    """The same labels under other values; all that occur must be in `new`, if any is."""
    if not new:
        return labels
    list_ = np.zeros(max(new, default=0) + 1, np.min_scalar_type(max(new.values())))
    list_[list(new)] = list(new.values())
    table = LabelTable(
        tuple(
            replace(labels.table[old], value=value)
            for old, value in new.items()
            if old in labels.table
        )
    )
    return replace(labels, data=list_[labels.data], table=table)


def _held(data: np.ndarray, highest: int) -> np.ndarray:
    """Whether each value up to the highest is there; plane by plane, in little memory."""
    held = np.zeros(highest + 1, bool)
    for plane in data:
        held[plane.reshape(-1)] = True
    return held


def _contradict(one: LabelTable, other: LabelTable) -> bool:
    """Whether a value or a name means something else in the other table."""
    mine, theirs = _values_by_name(one), _values_by_name(other)
    values = any(
        _plain(one.name(v)) != _plain(other.name(v)) for v in one.keys() & other.keys()
    )
    names = any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys())
    return values or names


def _values_by_name(table: LabelTable) -> dict[str, int]:
    """Name → value; none at all if a name is there twice, for it would be ambiguous."""
    count = Counter(_plain(row.name) for row in table.rows)
    if any(times > 1 for times in count.values()):
        return {}
    return {_plain(row.name): row.value for row in table.rows}


def _plain(name: str) -> str:
    """A name without what two programs write differently."""
    return "".join(one for one in name.casefold() if one not in " _-.")
