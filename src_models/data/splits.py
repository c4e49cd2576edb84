"""Which side of the split a case is on: decided once, by its group's name."""

from __future__ import annotations

import hashlib
from typing import Literal

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
