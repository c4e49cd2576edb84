"""What the options of losses and schedules may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 1e12  # beyond it a number is a slip, and squares of it leave float32


@dataclass(frozen=True, slots=True)
class Option:
    """What a value must be: in words, and as a test."""

    wanted: str
    fits: Callable[[object], bool]


def is_number(value: object, low: float = -LARGEST, high: float = LARGEST) -> bool:
    """A number, not a flag, within [low, high]."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high
    )


def _is_positive(value: object) -> bool:
    return is_number(value, 0) and value != 0


def one_of(*names: str) -> Option:
    wanted = " or ".join(f'"{name}"' for name in names)
    return Option(wanted, lambda value: value in names)


def _auto_or_each(wanted: str, fits: Callable[[object], bool]) -> Option:
    return Option(
        f'"auto" or {wanted} for each class, e.g. (1, 3)',
        lambda value: (
            value == "auto"
            or (isinstance(value, tuple) and len(value) > 1 and all(map(fits, value)))
        ),
    )


FLAG = Option("True or False", lambda value: isinstance(value, bool))
NOT_NEGATIVE = Option("a number of at least 0", lambda value: is_number(value, 0))
POSITIVE = Option("a number above 0", _is_positive)
SHARE = Option("a number from 0 to 1", lambda value: is_number(value, 0, 1))
SHARE_OR_NONE = Option(
    "a number from 0 to 1, or None", lambda value: value is None or SHARE.fits(value)
)
HALF = Option("a number from 0 to 0.5", lambda value: is_number(value, 0, 0.5))
WEIGHTS = _auto_or_each("a number of at least 0", NOT_NEGATIVE.fits)
FREQUENCIES = _auto_or_each("a number above 0", _is_positive)
