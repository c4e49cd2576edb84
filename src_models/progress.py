"""How far long work has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` equal steps; `note` says in words which one."""

    done: int
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement: step (0: before any), mean loss since the last, Dice in [0, 1]."""

    step: int
    loss: float
    dice: float


@dataclass(frozen=True, slots=True)
class Curve(Progress):
    """Progress with all measurements so far and the best Dice of them."""

    points: tuple[Point, ...] = ()
    best: float = math.nan


def drain(steps: Generator[Any, None, T]) -> T:
    """Run long work to its end; returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
