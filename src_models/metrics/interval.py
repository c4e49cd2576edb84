"""How sure a mean over cases is.

References
----------
Efron, B. & Tibshirani, R. (1993). An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the interval that holds it at the stated level."""

    mean: float
    low: float
    high: float
    level: float
    cases: int


def bootstrap(
    values: Sequence[float], *, level: float = 0.95, draws: int = 4000, seed: int = 0
) -> Interval:
    """Percentile interval of the mean, cases drawn with replacement.

    Paired comparisons take the differences of the pairs as `values`.

    Parameters
    ----------
    values : sequence of float
        One a case; at least one. One case alone: an interval of no width, which says
        nothing; `cases` tells it.
    level : float
        In (0, 1).

    Raises
    ------
    InputError
        For no value, a value that is not finite, or a level outside (0, 1).
    """
    given = np.asarray(values, float)
    if not given.size or not np.isfinite(given).all():
        raise InputError(f"at least one finite value is wanted, got {list(values)}")
    if not 0 < level < 1:
        raise InputError(f"a level between 0 and 1 is wanted, got {level:g}")
    # Equal seeds must give equal verdicts, on every machine.
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = random.integers(len(given), size=(draws, len(given)))
    low, high = np.quantile(given[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(given.mean()), float(low), float(high), level, len(given))
