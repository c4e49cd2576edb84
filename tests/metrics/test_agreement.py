"""Paired comparisons and limits of agreement: by hand, against scipy, empty cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from src_models.errors import InputError
from src_models.metrics import bland_altman, paired


def test_all_cases_better() -> None:
    first = [0.70, 0.75, 0.80, 0.62, 0.91, 0.66]
    found = paired(first, [one + 0.01 * (i + 1) for i, one in enumerate(first)])
    assert (found.higher, found.lower, found.same) == (6, 0, 0)
    assert found.difference.mean == pytest.approx(0.035)
    assert found.p == pytest.approx(2 / 2**6)  # exact: one sign pattern of 64 each way
    assert 0 < found.difference.low < found.difference.mean < found.difference.high


def test_against_scipy() -> None:
    a, b = np.random.default_rng(3).random((2, 30))
    assert paired(a, b).p == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert paired(a, b).p == pytest.approx(paired(b, a).p)


def test_no_difference_at_all() -> None:
    found = paired([0.5, 0.7], [0.5, 0.7])
    assert (found.p, found.same, found.difference.mean) == (1.0, 2, 0.0)


def test_bland_altman_by_hand() -> None:
    found = bland_altman([10, 12, 14], [9, 12, 16])
    assert found.bias == pytest.approx(-1 / 3)
    assert found.sd == pytest.approx(np.std([1, 0, -2], ddof=1))
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.sd)
    single = bland_altman([5], [3])
    assert (single.bias, single.sd, single.low, single.cases) == (2, 0, 2, 1)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([], [], "at least one"),
        ([1.0], [1.0, 2.0], "got 1 and 2"),
        ([np.nan], [1.0], "finite"),
    ],
)
def test_bad_input(first: list[float], second: list[float], says: str) -> None:
    for function in (paired, bland_altman):
        with pytest.raises(InputError, match=says):
            function(first, second)
