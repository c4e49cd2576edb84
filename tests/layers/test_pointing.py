"""What is under the mouse in the 3D view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image

from napari_segreview.layers.pointing import crossed, visible

SIDES = (6, 4, 9)


def test_a_line_along_an_axis_meets_all_its_voxels() -> None:
    found = crossed(np.array([-50.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0]), SIDES)
    assert found[:, 1:].tolist() == [[2, 3]] * len(found)
    assert sorted(set(found[:, 0].tolist())) == list(range(6))
    back = crossed(np.array([-50.0, 2.0, 3.0]), np.array([-1.0, 0.0, 0.0]), SIDES)
    assert back[0].tolist() == [5, 2, 3]


def test_a_line_beside_the_box_meets_nothing() -> None:
    beside = np.array([2.0, 4.0, 3.0])
    assert not len(crossed(beside, np.array([1.0, 0.0, 0.0]), SIDES))
    away = np.array([-20.0, -20.0, 0.0])
    assert not len(crossed(away, np.array([1.0, -1.0, 0.0]), SIDES))


@given(
    st.lists(st.floats(-20, 20), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(
        lambda step: np.linalg.norm(step) > 0.1
    ),
)
def test_it_finds_what_small_steps_find(start: list[float], step: list[float]) -> None:
    at, along = np.array(start), np.array(step) / np.linalg.norm(step)
    found = {tuple(voxel) for voxel in crossed(at, along, SIDES).tolist()}
    steps = np.rint(at + np.arange(-80, 80, 0.01)[:, None] * along).astype(int)
    inside = ((steps >= 0) & (steps < SIDES)).all(1)
    seen, counts = np.unique(steps[inside], axis=0, return_counts=True)
    assert {tuple(v) for v in seen[counts > 60].tolist()} <= found
    grown = {
        tuple(v + np.array(d))
        for v in seen
        for d in np.ndindex(3, 3, 3)
        for d in [np.array(d) - 1]
    }
    assert found <= {tuple(map(int, v)) for v in grown} or not len(seen)


@pytest.mark.parametrize(
    ("rendering", "wanted"),
    [("mip", 2), ("attenuated_mip", 2), ("minip", 3), ("iso", 1), ("translucent", 2)],
)
def test_what_is_seen_is_what_is_drawn(rendering: str, wanted: int) -> None:
    image = Image(np.zeros((4, 4, 4)), rendering=rendering, contrast_limits=(1, 10))
    image.iso_threshold = 4
    assert visible(np.array([2.0, 5.0, 9.0, 1.5, 9.0]), image) == wanted
    assert visible(np.array([np.nan, 5.0, 9.0, 1.5, 9.0]), image) == wanted
    assert visible(np.full(3, np.nan), image) is None


@pytest.mark.parametrize("rendering", ["mip", "iso", "additive", "average"])
def test_where_nothing_is_drawn_nothing_is_seen(rendering: str) -> None:
    image = Image(np.zeros((4, 4, 4)), rendering=rendering, contrast_limits=(1, 10))
    image.iso_threshold = 4
    assert visible(np.ones(5), image) is None
    assert visible(np.ones(0), image) is None
