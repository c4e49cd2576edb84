"""Labels carried over frames: in which order, and where they arrive."""

from __future__ import annotations

import numpy as np
import pytest
from beats import beat
from hypothesis import given
from hypothesis import strategies as st

from src_models.data.cases import Case
from src_models.errors import InputError
from src_models.progress import Progress, drain
from src_models.sequences import propagate
from src_models.sequences.propagate import (
    Step,
    annotated_frames,
    plan,
    propagated,
    sitk,
)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


class TestPlan:
    def test_round_a_beat_by_hand(self) -> None:
        """Nearest first; 5 away directly; of two as near the one before."""
        found = plan(20, [0, 11], cyclic=True)
        assert found[:4] == (Step(1, 0, 0), Step(10, 11, 11), Step(12, 11, 11),
                             Step(19, 0, 0))  # fmt: skip
        steps = {step.frame: step for step in found}
        assert steps[4] == Step(4, 3, 0)
        assert steps[5] == Step(5, 0, 0)  # 5 frames from 0, over all at once
        assert steps[6] == Step(6, 11, 11)  # 5 frames from 11, backwards
        assert steps[15] == Step(15, 14, 11)
        assert steps[16] == Step(16, 17, 0)  # round the end

    def test_a_course_does_not_go_round(self) -> None:
        found = plan(9, [1], cyclic=False)
        steps = {step.frame: step for step in found}
        assert steps[0] == Step(0, 1, 1)
        assert steps[8] == Step(8, 7, 1)  # 7 away; 2 by the other way round
        assert steps[6] == Step(6, 1, 1)
        assert plan(9, [1], cyclic=True)[-1] != found[-1]

    def test_of_two_as_near_the_one_before(self) -> None:
        assert plan(4, [0, 2], cyclic=True) == (Step(1, 0, 0), Step(3, 2, 2))
        assert plan(4, [2], cyclic=True)[-1] == Step(0, 3, 2)

    def test_the_eleventh_follows_the_tenth_follows_the_fifth(self) -> None:
        steps = {step.frame: step.parent for step in plan(30, [0], cyclic=False)}
        assert [steps[t] for t in (5, 10, 11, 15)] == [0, 5, 10, 10]

    @given(
        st.integers(1, 25).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))
        ),
        st.booleans(),
        st.integers(1, 6),
    )
    def test_laws(self, given_: tuple[int, set[int]], cyclic: bool, jump: int) -> None:
        frames, annotated = given_
        found = plan(frames, sorted(annotated), cyclic=cyclic, jump=jump)
        assert sorted(step.frame for step in found) == sorted(
            set(range(frames)) - annotated
        )

        def apart(a: int, b: int) -> int:
            direct = abs(a - b)
            return min(direct, frames - direct) if cyclic else direct

        done, distances = set(annotated), []
        for step in found:
            assert step.parent in done
            done.add(step.frame)
            nearest = min(apart(step.frame, one) for one in annotated)
            assert apart(step.frame, step.source) == nearest
            assert apart(step.frame, step.parent) <= jump
            distances.append(nearest)
        assert distances == sorted(distances)


class TestPropagated:
    def test_labels_arrive_where_the_disc_has_gone(self) -> None:
        truth = beat(frames=12, side=48, noise=0.05)
        few = beat(frames=12, side=48, noise=0.05, known=(0, 6))
        found = drain(propagated(few, cyclic=True, spacing=12)).labels
        others = [t for t in range(12) if t not in (0, 6)]
        carried = dice(found[others] == 1, truth.labels[others] == 1)
        copied = np.stack([truth.labels[0 if t in (1, 2, 3, 10, 11) else 6]
                           for t in others])  # fmt: skip
        assert carried > 0.9
        assert carried > dice(copied == 1, truth.labels[others] == 1) + 0.04
        np.testing.assert_array_equal(found[[0, 6]], truth.labels[[0, 6]])

    def test_a_way_over_two_frames_by_hand(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Frame 2 is twice as narrow as frame 1, that one moved by 3 against frame 0."""
        ways = [sitk.AffineTransform(2), sitk.AffineTransform(2)]
        ways[0].SetTranslation((3, 0))  # x of frame 1 -> x + 3 of frame 0
        ways[1].SetMatrix((2, 0, 0, 1))  # x of frame 2 -> 2 x of frame 1
        left = iter(ways)
        monkeypatch.setattr(propagate, "registered", lambda *_: next(left))
        labels = np.full((3, 4, 16), -1, np.int16)
        labels[0] = 0
        labels[0, :, 9] = 1
        case = Case("a", "a", np.zeros((1, 3, 4, 16)), labels, (1.0, 1.0))
        found = drain(propagated(case, cyclic=False)).labels
        assert np.flatnonzero(found[1, 0] == 1).tolist() == [6]
        assert np.flatnonzero(found[2, 0] == 1).tolist() == [3]

    def test_it_is_the_same_to_the_last_bit_and_tells_each_frame(self) -> None:
        few = beat(known=(2,))
        events = list(propagated(few, cyclic=True))
        assert [(e.done, e.total) for e in events] == [(i, 5) for i in range(1, 6)]
        assert all(isinstance(event, Progress) for event in events)
        one, two = (drain(propagated(few, cyclic=True)).labels for _ in range(2))
        np.testing.assert_array_equal(one, two)

    def test_in_a_volume(self) -> None:
        flat = beat(frames=4, known=(0,))
        solid = beat(frames=4, known=(0,))
        image = np.repeat(flat.image[:, :, None], 6, axis=2)
        labels = np.repeat(flat.labels[:, None], 6, axis=1)
        volume = type(flat)("v", "v", image, labels, (2.0, 1.0, 1.0))
        found = drain(propagated(volume, cyclic=True)).labels
        assert found.shape == labels.shape
        truth = beat(frames=4).labels
        assert dice(found[2, 3] == 1, truth[2] == 1) > dice(
            solid.labels[0] == 1, truth[2] == 1
        )

    def test_what_is_known_of_all_frames_stays(self) -> None:
        whole = beat()
        np.testing.assert_array_equal(
            drain(propagated(whole, cyclic=True)).labels, whole.labels
        )
        single = beat(frames=1)
        assert drain(propagated(single, cyclic=True)).labels.shape == (1, 24, 24)

    def test_blank_frames_are_taken_as_they_are(self) -> None:
        few = beat(known=(0,))
        few.image[:] = 3
        found = drain(propagated(few, cyclic=True)).labels
        assert all(np.array_equal(one, found[0]) for one in found)

    def test_without_an_annotated_frame_it_says_so(self) -> None:
        nothing = beat(known=())
        assert annotated_frames(nothing) == ()
        with pytest.raises(InputError, match="case a: no frame has labels"):
            drain(propagated(nothing, cyclic=True))
