"""The interval of a mean: against scipy, and where it has nothing to say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src_models.errors import InputError
from src_models.metrics import bootstrap


def test_it_is_scipys() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 40)
    mine = bootstrap(values)
    wanted = stats.bootstrap(
        (values,), np.mean, method="percentile"
    ).confidence_interval
    assert mine.mean == pytest.approx(values.mean())
    assert (mine.low, mine.high) == pytest.approx((wanted.low, wanted.high), abs=0.03)
    assert mine.cases == 40


def test_the_same_values_give_the_same_interval() -> None:
    assert bootstrap([1, 2, 4], seed=3) == bootstrap([1, 2, 4], seed=3)
    assert bootstrap([1.0]) == bootstrap([1.0], seed=9)  # of one case: no width


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.floats(-5, 5))
def test_laws(values: list[float], shift: float) -> None:
    one = bootstrap(values, draws=200)
    assert min(values) - 1e-9 <= one.low <= one.high <= max(values) + 1e-9
    moved = bootstrap([value + shift for value in values], draws=200)
    assert (moved.low, moved.high) == pytest.approx((one.low + shift, one.high + shift))


@pytest.mark.parametrize(
    ("values", "level"), [([], 0.9), ([float("nan")], 0.9), ([1.0], 1.0)]
)
def test_bad_input(values: list[float], level: float) -> None:
    with pytest.raises(InputError, match="is wanted"):
        bootstrap(values, level=level)
