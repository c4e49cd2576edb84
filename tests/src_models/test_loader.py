"""What a net is shown: the same whoever makes it, in order, with its maps."""

from __future__ import annotations

from dataclasses import replace
from threading import Event, active_count
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from zoo import ball, discs

from src_models.data.augment import augmentation
from src_models.data.cases import Case
from src_models.data.loader import (
    Batch,
    BatchMaker,
    Key,
    Share,
    ahead,
    changed,
    draw_batch,
)
from src_models.data.maps import signed_distances
from src_models.data.options import Augment
from src_models.data.patches import PatchSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

STILL = Augment(
    rotate=0, scale=0, gamma=0, brightness=0, noise=0, blur=0, low_resolution=0
)
MOVED = Augment(mirror_axes=(0, 1), elastic=2)


def maker(share: Share, wish: Augment = MOVED, **options: object) -> BatchMaker:
    made = {
        "sampler": PatchSampler(discs(4), (16, 16), 0.5),
        "augment": augmentation(wish, 2),
        "share": share,
        "seed": 3,
        "classes": 2,
        **options,
    }
    return BatchMaker(**made)  # type: ignore[arg-type]


def images(batches: Iterator[Batch]) -> torch.Tensor:
    return torch.cat([batch.images for batch in batches])


class TestOrder:
    def test_the_number_of_threads_changes_nothing(self) -> None:
        made = maker(Share(batch=2))
        one, two, three = (
            list(made.batches(range(1, 3), 3, workers=n)) for n in (0, 1, 3)
        )
        assert len(one) == 6
        for others in (two, three):
            for batch, other in zip(one, others, strict=True):
                assert torch.equal(batch.images, other.images)
                assert torch.equal(batch.labels, other.labels)

    @pytest.mark.parametrize(
        ("shares", "batches_a_step"),
        [
            ([Share(2, rank=r, processes=2) for r in (0, 1)], 1),
            ([Share(2, accumulate=2)], 2),
            ([Share(1, accumulate=2, rank=r, processes=2) for r in (0, 1)], 2),
        ],
        ids=["two processes", "two batches a step", "both"],
    )
    def test_nor_how_a_step_is_shared_out(
        self, shares: list[Share], batches_a_step: int
    ) -> None:
        whole = list(maker(Share(batch=4)).batches(range(1, 2), 3, workers=0))
        parts = [list(maker(s).batches(range(1, 2), 3, workers=0)) for s in shares]
        for step, batch in enumerate(whole):
            turns = range(step * batches_a_step, (step + 1) * batches_a_step)
            shown = images(part[turn] for turn in turns for part in parts)
            assert torch.equal(shown, batch.images)

    def test_a_run_taken_up_again_sees_what_it_would_have(self) -> None:
        made = maker(Share(batch=2))
        whole = list(made.batches(range(1, 4), 2, workers=1))
        rest = list(made.batches(range(3, 4), 2, workers=1))
        assert torch.equal(images(iter(whole[4:])), images(iter(rest)))
        assert not torch.equal(whole[0].images, whole[2].images)  # epochs differ

    def test_the_cases_of_a_step(self) -> None:
        cases = discs(4)
        marked = [
            replace(case, image=np.full_like(case.image, i))
            for i, case in enumerate(cases)
        ]
        sampler = PatchSampler(marked, (16, 16), 0.5)
        made = maker(Share(batch=2), STILL, sampler=sampler)
        for step in range(1, 9):
            batch = made.make(Key(1, step, range(2)))
            shown = {f"disc{int(i):02d}" for i in batch.images[:, 0, 0, 0]}
            assert made.cases(1, step) == tuple(sorted(shown))

    def test_draw_batch_goes_on_with_one_generator(self) -> None:
        sampler, still = PatchSampler(discs(4), (16, 16), 0.5), augmentation(STILL, 2)
        shown, labels = draw_batch(sampler, still, 3, np.random.default_rng(0))
        random = np.random.default_rng(0)
        for image, truth in zip(shown, labels, strict=True):
            wanted, label = sampler.draw(random)
            assert np.array_equal(image.numpy(), wanted)
            assert np.array_equal(truth.numpy(), label)
        assert (shown.dtype, labels.dtype) == (torch.float32, torch.int64)


class TestAhead:
    def test_few_are_waiting(self) -> None:
        begun: list[int] = []

        def make(i: int) -> int:
            begun.append(i)
            return i * i

        stream = ahead(make, range(100), workers=2)
        assert [next(stream) for _ in range(3)] == [0, 1, 4]
        stream.close()
        assert len(begun) <= 3 + 4  # two a thread
        assert begun == list(range(len(begun)))

    def test_they_are_made_while_others_are_used(self) -> None:
        second = Event()

        def make(i: int) -> int:
            if i == 1:
                second.set()
            return i

        stream = ahead(make, range(5), workers=1)
        next(stream)
        assert second.wait(timeout=30)
        stream.close()

    def test_an_error_comes_in_its_turn(self) -> None:
        def make(i: int) -> float:
            return 1 / (2 - i)

        stream = ahead(make, range(5), workers=2)
        assert [next(stream), next(stream)] == [0.5, 1]
        with pytest.raises(ZeroDivisionError):
            next(stream)

    def test_no_thread_stays(self) -> None:
        before = active_count()
        stream = ahead(str, range(9), workers=3)
        next(stream)
        assert active_count() > before
        stream.close()
        assert active_count() == before

    def test_the_nets_own_threads_are_left_alone(self) -> None:
        torch.set_num_threads(2)
        assert list(ahead(str, range(2), workers=1)) == ["0", "1"]
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_nothing_to_make(self, workers: int) -> None:
        assert list(ahead(str, [], workers=workers)) == []


class TestMaps:
    def test_they_are_those_of_the_augmented_labels(self) -> None:
        made = maker(Share(2), maps=frozenset({"border", "distance"}))
        batch = made.make(Key(1, 1, range(2)))
        assert batch.maps["border"].shape == (2, 16, 16)
        assert batch.maps["distance"].shape == (2, 2, 16, 16)
        for labels, phi in zip(batch.labels, batch.maps["distance"], strict=True):
            wanted = signed_distances(labels.numpy(), 2, (1.0, 1.0))
            assert np.array_equal(phi.numpy(), wanted)

    def test_instances_move_with_the_labels(self) -> None:
        one, two = (ball(24, 2, 4, x=x) for x in (-5, 5))
        labels, numbers = one | two, np.int32(300) * one + np.int32(70_000) * two
        case = Case("a", "a", labels[None].astype("f4"), labels, (1.0, 1.0), numbers)
        patch = PatchSampler([case], (24, 24), 0.0).pick(np.random.default_rng(0))
        moves = 0
        for seed in range(12):
            change = augmentation(MOVED, 2)
            change.set_random_state(seed)
            _, moved, instances = changed(change, patch)
            assert instances is not None
            assert set(instances.unique().tolist()) == {0, 300, 70_000}
            assert torch.equal(instances > 0, moved == 1)
            moves += not np.array_equal(moved.numpy(), labels)
        assert moves  # else nothing was tried

    def test_the_gap_between_two_objects_of_one_label_weighs_more(self) -> None:
        one, two = (ball(24, 2, 4, x=x) for x in (-5, 5))
        labels = one | two
        weights = {}
        for name, instances in (("apart", one + 2 * two), ("as one", labels)):
            case = Case(
                "a", "a", labels[None].astype("f4"), labels, (1.0, 1.0), instances
            )
            made = maker(
                Share(1),
                STILL,
                sampler=PatchSampler([case], (24, 24), 0.0),
                maps=frozenset({"border"}),
            )
            batch = made.make(Key(1, 1, range(1)))
            weights[name] = float(batch.maps["border"][0, 11, 11])
        assert weights["apart"] > weights["as one"] + 3
