"""Two series of numbers of the same cases, side by side.

References
----------
Bland, J. M. & Altman, D. G. (1986). Lancet 327, 307-310.
Wilcoxon, F. (1945). Biometrics Bulletin 1(6), 80-83.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError
from src_models.metrics.interval import Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = 1.96  # standard deviations that hold 95 % of normal differences


@dataclass(frozen=True, slots=True)
class Paired:
    """Second − first, case by case.

    Attributes
    ----------
    difference : Interval
        Mean with its bootstrap interval, cases drawn with replacement.
    p : float
        Two-sided Wilcoxon signed-rank test; 1 if no case differs.
    higher, lower, same : int
        Cases in which the second is above, below, equal to the first.
    """

    difference: Interval
    p: float
    higher: int
    lower: int
    same: int


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Agreement of two measurements.

    Attributes
    ----------
    bias : float
        Mean of first − second.
    sd : float
        Standard deviation of the differences (n − 1); 0 for a single case.
    low, high : float
        Limits of agreement, bias ± 1.96 sd.
    """

    bias: float
    sd: float
    low: float
    high: float
    cases: int


def paired(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> Paired:
    """Compare two series of the same cases, e.g. the Dice of two models.

    Raises
    ------
    InputError
        If they differ in length, are empty, or hold a value that is not finite.
    """
    apart = -_differences(first, second)
    moved = apart[apart != 0]
    return Paired(
        bootstrap(apart.tolist(), level=level),
        _signed_rank(moved) if moved.size else 1.0,
        higher=int((apart > 0).sum()),
        lower=int((apart < 0).sum()),
        same=int((apart == 0).sum()),
    )


def bland_altman(first: Sequence[float], second: Sequence[float]) -> BlandAltman:
    """Bias and limits of agreement of two series of measurements of the same things.

    Raises
    ------
    InputError
        As for `paired`.
    """
    apart = _differences(first, second)
    bias = float(apart.mean())
    sd = float(apart.std(ddof=1)) if apart.size > 1 else 0.0
    return BlandAltman(bias, sd, bias - LIMITS * sd, bias + LIMITS * sd, apart.size)


def _signed_rank(moved: npt.NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(moved).pvalue)


def _differences(
    first: Sequence[float], second: Sequence[float]
) -> npt.NDArray[np.float64]:
    if len(first) != len(second) or not len(first):
        raise InputError(
            "two series of the same cases are wanted, at least one case, got "
            f"{len(first)} and {len(second)}"
        )
    apart: npt.NDArray[np.float64] = np.asarray(first, float) - np.asarray(
        second, float
    )
    if not np.isfinite(apart).all():
        raise InputError("two series of finite numbers are wanted, got one that is not")
    return apart
