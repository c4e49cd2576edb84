"""Objects one by one: by hand, against MONAI, laws, and the empty cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_panoptic_quality
from scipy.optimize import linear_sum_assignment

from src_models.errors import InputError
from src_models.metrics import Detection, Match, detect, objects

#          one object found,  one missed,  one false
PREDICTION = np.array([[1, 1, 0, 0, 0, 0, 2], [1, 1, 0, 0, 0, 0, 2]])
REFERENCE = np.array([[7, 7, 7, 0, 9, 0, 0], [7, 7, 7, 0, 9, 0, 0]])


def test_by_hand() -> None:
    found = detect(PREDICTION, REFERENCE)
    assert found == Detection((Match(1, 7, 4 / 6),), missed=(9,), false=(2,))
    assert (found.sensitivity, found.precision, found.recognition) == (0.5, 0.5, 0.5)
    assert found.panoptic == pytest.approx(4 / 6 / 2)


def test_a_stricter_threshold_matches_less() -> None:
    assert detect(PREDICTION, REFERENCE, threshold=0.7).matches == ()
    # The threshold itself is not enough: at .5 two could match one.
    halves = np.array([1, 1, 2, 2]), np.array([3, 3, 3, 3])
    assert detect(*halves).matches == ()
    assert len(detect(*halves, threshold=0.4).matches) == 1


def test_pairs_are_so_chosen_that_their_sum_is_largest() -> None:
    # 1 overlaps 8 more than 9, but 2 overlaps 8 only.
    mine = np.array([1, 1, 1, 1, 1, 2, 2, 0])
    theirs = np.array([9, 9, 8, 8, 8, 8, 8, 8])
    found = detect(mine, theirs, threshold=0.1)
    assert {(m.prediction, m.reference) for m in found.matches} == {(1, 9), (2, 8)}


def test_by_the_centre() -> None:
    mine = np.array([0, 1, 1, 1, 0, 2, 2, 2])
    theirs = np.array([0, 0, 5, 0, 0, 6, 0, 0])
    found = detect(mine, theirs, rule="centre")
    assert [(m.prediction, m.reference) for m in found.matches] == [(1, 5)]
    assert (found.missed, found.false) == ((6,), (2,))


def test_a_ring_round_an_object_is_not_that_object() -> None:
    mine, theirs = np.ones((5, 5), int), np.zeros((5, 5), int)
    mine[1:4, 1:4] = 0
    theirs[2, 2] = 4
    assert detect(mine, theirs, rule="centre").matches == ()


@pytest.mark.parametrize("rule", ["iou", "centre"])
def test_empty_sides(rule: str) -> None:
    none, one = np.zeros(4, int), np.array([0, 3, 3, 0])
    both, lost, ghost = (
        detect(*pair, rule=rule)  # type: ignore[arg-type]
        for pair in ((none, none), (none, one), (one, none))
    )
    assert (both.panoptic, both.sensitivity, both.precision) == (1, 1, 1)
    assert (lost.missed, lost.panoptic, lost.sensitivity) == ((3,), 0, 0)
    assert (ghost.false, ghost.panoptic, ghost.precision) == ((3,), 0, 0)


maps = hnp.arrays("i4", (6, 7), elements=st.integers(0, 4))


@given(maps, maps)
def test_panoptic_quality_is_monais(mine: np.ndarray, theirs: np.ndarray) -> None:
    ours = detect(mine, theirs)
    if not mine.any() or not theirs.any():
        return  # there it has no rule
    wanted = compute_panoptic_quality(
        torch.from_numpy(mine), torch.from_numpy(theirs), match_iou_threshold=0.5
    )
    assert ours.panoptic == pytest.approx(float(wanted), abs=1e-4)


@given(maps, maps)
def test_laws(mine: np.ndarray, theirs: np.ndarray) -> None:
    there, back = detect(mine, theirs), detect(theirs, mine)
    assert there.panoptic == pytest.approx(back.panoptic)
    assert there.sensitivity == back.precision
    assert 0 <= there.panoptic <= there.recognition <= 1
    assert detect(mine, mine).panoptic == 1
    found = {m.reference for m in there.matches}
    assert found | set(there.missed) == set(np.unique(theirs)) - {0}
    assert not found & set(there.missed)


@given(maps, maps, st.sampled_from([0.0, 0.2, 0.5]))
def test_the_sum_is_the_largest_of_all_pairings(
    mine: np.ndarray, theirs: np.ndarray, threshold: float
) -> None:
    """Against one assignment over all objects at once."""
    ours, those = (np.unique(one[one > 0]) for one in (mine, theirs))
    iou = np.array(
        [
            [
                ((mine == a) & (theirs == b)).sum()
                / ((mine == a) | (theirs == b)).sum()
                for b in those
            ]
            for a in ours
        ]
    ).reshape(len(ours), len(those))
    iou[iou <= threshold] = 0
    best = iou[linear_sum_assignment(iou, maximize=True)].sum()
    found = detect(mine, theirs, threshold=threshold)
    assert sum(match.iou for match in found.matches) == pytest.approx(best)


def test_thousands_of_objects_take_little() -> None:
    """All pairs of them would not fit into memory."""
    mine = np.zeros((400, 400), np.int32)
    mine[::2, ::2] = np.arange(1, 40_001).reshape(200, 200)
    theirs = mine.copy()
    theirs[:200] = 0
    found = detect(mine, theirs)
    assert (len(found.matches), len(found.false), found.missed) == (20_000, 20_000, ())
    assert found.recognition == pytest.approx(20_000 / 30_000)
    assert detect(mine, theirs, rule="centre") == found


def test_objects_touch_at_corners_too() -> None:
    mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    assert objects(mask).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [2, 0, 0]]


@pytest.mark.parametrize(
    ("mine", "theirs", "threshold", "says"),
    [
        (np.zeros(3, int), np.zeros(4, int), 0.5, "one shape"),
        (np.zeros(3), np.zeros(3, int), 0.5, "whole numbers"),
        (np.zeros(3, int), np.zeros(3, int), 1.0, "threshold in"),
    ],
)
def test_bad_input(
    mine: np.ndarray, theirs: np.ndarray, threshold: float, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        detect(mine, theirs, threshold=threshold)
