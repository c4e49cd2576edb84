"""Which side of the split a case is on: decided once, by its group's name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.cases import Case

Side = Literal["train", "validation", "locked"]


def side_of(group: str, *, salt: str, validation: float, locked: float) -> Side:
    """The side of a group (patient, study); stable whatever other cases there are.

    A hash of salt and group is read as a number in [0, 1): the first `locked` share is
    locked, the next `validation` share validates, the rest trains.

    Parameters
    ----------
    validation, locked : float
        Shares in [0, 1); their sum must leave some for training.
    """
    digest = hashlib.sha256(f"{salt}/{group}".encode()).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64
    if at < locked:
        return "locked"
    return "validation" if at < locked + validation else "train"


@dataclass(frozen=True, slots=True)
class Split:
    """Cases by side; groups never straddle."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    locked: tuple[Case, ...]


def split_cases(
    cases: Sequence[Case], *, salt: str, validation: float, locked: float
) -> Split:
    """Put each case on its group's side.

    A case of which nothing is known can only be learnt from. It goes to training, unless
    known cases of its group are held elsewhere: then it is on no side.

    Raises
    ------
    InputError
        If a side gets no case, or nothing is known of any.
    """
    sides: dict[Side, list[Case]] = {"train": [], "validation": [], "locked": []}
    known = [bool((case.labels >= 0).any()) for case in cases]
    held = {
        case.group for case, any_known in zip(cases, known, strict=True) if any_known
    }
    if cases and not held:
        raise InputError(
            f"nothing is known in the labels of any of the {len(cases)} cases: every voxel "
            "is −1. Paint on them, or look whether data.values sends what was painted to "
            "labels, and at data.blank_frames where there are frames"
        )
    for case, any_known in zip(cases, known, strict=True):
        side = side_of(case.group, salt=salt, validation=validation, locked=locked)
        if any_known or side == "train":
            sides[side].append(case)
        elif case.group not in held:
            sides["train"].append(case)
    empty = [side for side, held in sides.items() if not held]
    if empty:
        raise InputError(
            f"of {len(cases)} cases none falls on the side {' and '.join(empty)}; give "
            f"more cases, other shares (data.validation is {validation:g}, data.locked "
            f"{locked:g}), or another data.salt, which draws the sides anew"
        )
    return Split(**{side: tuple(held) for side, held in sides.items()})


def shared_out(
    cases: Sequence[Case], share: float
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Cases whose labels are used, and the images of the others, with −1 everywhere.

    Cases of which nothing is known are among the others; so are whole groups, the last by
    name, until `share` of the groups is left, at least one.
    """
    known = [case for case in cases if (case.labels >= 0).any()]
    groups = sorted({case.group for case in known})
    kept = set(groups[: max(1, round(share * len(groups)))])
    used = {case.name for case in known if case.group in kept}
    return (
        tuple(case for case in cases if case.name in used),
        tuple(blind(case) for case in cases if case.name not in used),
    )


def blind(case: Case) -> Case:
    """The case with nothing known of its labels."""
    labels = np.full(case.labels.shape, -1, np.int16)
    return replace(case, labels=labels, instances=None)
