"""Splits, patches, augmentation and prepared cases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo import ball

from src_models.card import Intensity, NetSpec
from src_models.data.augment import augmentation
from src_models.data.cases import Case, check_cases, check_structures, prepare
from src_models.data.options import Augment
from src_models.data.patches import PatchSampler
from src_models.data.splits import side_of, split_cases
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SHARES = {"salt": "s", "validation": 0.1, "locked": 0.2}


def case(labels: np.ndarray, image: np.ndarray | None = None, name: str = "a") -> Case:
    if image is None:
        image = labels[None].astype(np.float32)
    return Case(name, name, image, labels, (1.0,) * labels.ndim)


class TestSplit:
    def test_shares_are_about_right(self) -> None:
        sides = [side_of(f"patient{i}", **SHARES) for i in range(10_000)]
        # Five standard deviations of a share p: 5 √(p (1 − p) / 10 000)
        assert sides.count("validation") / 10_000 == pytest.approx(0.1, abs=0.015)
        assert sides.count("locked") / 10_000 == pytest.approx(0.2, abs=0.02)

    def test_golden(self) -> None:
        """A model's locked cases must stay locked in every later version."""
        sides = [side_of(f"patient{i}", **SHARES)[0] for i in range(24)]
        assert "".join(sides) == GOLDEN_SIDES

    def test_no_shares_no_sides(self) -> None:
        none = {"salt": "s", "validation": 0.0, "locked": 0.0}
        assert {side_of(str(i), **none) for i in range(100)} == {"train"}

    def test_another_salt_is_another_split(self) -> None:
        a, b = (
            [side_of(str(i), salt=salt, validation=0.3, locked=0.3) for i in range(50)]
            for salt in "ab"
        )
        assert a != b

    @given(st.lists(st.text(max_size=8), min_size=30, max_size=60, unique=True))
    def test_cases_that_come_later_move_none(self, groups: list[str]) -> None:
        few = {g: side_of(g, **SHARES) for g in groups[:20]}
        all_ = {g: side_of(g, **SHARES) for g in groups}
        assert few.items() <= all_.items()

    def test_a_group_is_never_on_two_sides(self) -> None:
        empty = np.zeros((2, 2), np.uint8)
        cases = [
            Case(f"p{i}-{eye}", f"p{i}", empty[None], empty, (1.0, 1.0))
            for i in range(60)
            for eye in "LR"
        ]
        split = split_cases(cases, **SHARES)
        sides = [
            {c.group for c in side}
            for side in (split.train, split.validation, split.locked)
        ]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 60
        assert len(split.train) + len(split.validation) + len(split.locked) == 120

    def test_what_is_unlabelled_is_only_learnt_from(self) -> None:
        known, unknown = np.zeros((2, 2), np.uint8), np.full((2, 2), -1, np.int16)
        whole = [Case(f"p{i}", f"p{i}", known[None], known, (1, 1)) for i in range(60)]
        same = [Case(f"q{i}", f"p{i}", known[None], unknown, (1, 1)) for i in range(60)]
        own = [Case(f"r{i}", f"r{i}", known[None], unknown, (1, 1)) for i in range(20)]
        before = split_cases(whole, **SHARES)
        split = split_cases([*whole, *same, *own], **SHARES)
        assert (split.validation, split.locked) == (before.validation, before.locked)
        trained = {case.group for case in before.train}
        assert {case.group for case in split.train} == trained | {
            f"r{i}" for i in range(20)
        }
        assert len(split.train) == 2 * len(trained) + 20

    def test_an_empty_side_is_refused(self) -> None:
        with pytest.raises(InputError, match="of 0 cases none falls on the side train"):
            split_cases([], **SHARES)


class TestPatches:
    @pytest.mark.parametrize("shape", [(30, 40), (3, 50), (9, 10, 11), (1, 1, 20)])
    @pytest.mark.parametrize("foreground", [0.0, 1.0])
    def test_image_and_labels_are_cut_at_one_place(
        self, shape: tuple[int, ...], foreground: float
    ) -> None:
        place = np.arange(np.prod(shape)).reshape(shape)
        image = np.stack([place, -place]).astype(np.float32)
        size = (8, 6, 4)[: len(shape)]
        sampler = PatchSampler(
            [case((place % 7).astype(np.uint8), image)], size, foreground
        )
        random = np.random.default_rng(0)
        for _ in range(50):
            patch, labels = sampler.draw(random)
            assert patch.shape == (2, *size)
            assert patch.dtype == np.float32
            assert labels.dtype == np.uint8
            np.testing.assert_array_equal(labels, patch[0] % 7)
            np.testing.assert_array_equal(patch[1], -patch[0])

    @pytest.mark.parametrize("foreground", [0.0, 1.0])
    def test_edges_are_mirrored(self, foreground: float) -> None:
        labels = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
        wide = np.pad(labels, 8, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(wide, (7, 7))
        known = {window.tobytes() for row in windows for window in row}
        sampler = PatchSampler([case(labels)], (7, 7), foreground)
        random = np.random.default_rng(0)
        assert all(sampler.draw(random)[1].tobytes() in known for _ in range(60))

    def test_background_patches_lie_inside(self) -> None:
        place = np.arange(900).reshape(30, 30)
        sampler = PatchSampler(
            [case(np.zeros((30, 30), np.uint8), place[None].astype("f4"))], (8, 8), 0.0
        )
        random = np.random.default_rng(0)
        corners = np.array([sampler.draw(random)[0][0, 0, 0] for _ in range(2000)])
        rows, columns = np.divmod(corners, 30)
        for found in (rows, columns):
            assert (found.min(), found.max()) == (0, 22)
            assert found.mean() == pytest.approx(11, abs=0.8)

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_the_wanted_share_holds_a_structure(self, share: float) -> None:
        labels = np.zeros((300, 300), np.uint8)
        labels[150, 150] = 1
        sampler = PatchSampler([case(labels)], (8, 8), share)
        random = np.random.default_rng(0)
        hit = np.mean([sampler.draw(random)[1].any() for _ in range(1000)])
        assert hit == pytest.approx(share, abs=0.08)

    def test_small_structures_are_seen_as_often_as_large_ones(self) -> None:
        labels = np.zeros((200, 200), np.uint8)
        labels[:80, :80], labels[150, 150] = 1, 2
        sampler = PatchSampler([case(labels)], (8, 8), 1.0)
        random = np.random.default_rng(0)
        small = np.mean([(sampler.draw(random)[1] == 2).any() for _ in range(1000)])
        assert small == pytest.approx(0.5, abs=0.08)

    def test_every_case_has_its_turn_and_a_seed_its_patches(self) -> None:
        cases = [case(np.full((9, 9), i, np.uint8), name=str(i)) for i in range(4)]
        sampler = PatchSampler(cases, (4, 4), 0.5)
        one, two = (
            [sampler.draw(random)[1][0, 0] for _ in range(200)]
            for random in (np.random.default_rng(3), np.random.default_rng(3))
        )
        assert one == two
        assert set(one) == {0, 1, 2, 3}


SPACE = {
    "gamma": 0.0,
    "brightness": 0.0,
    "noise": 0.0,
    "blur": 0.0,
    "low_resolution": 0.0,
}
EVERYTHING = {"rotate": 180, "scale": 0.25, "elastic": 2}


def augmented(
    wish: Augment, labels: np.ndarray, seed: int, channels: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    change = augmentation(wish, labels.ndim)
    change.set_random_state(seed)
    plain = torch.from_numpy(labels)[None]
    changed: dict[str, Any] = change(
        {"image": plain.float().repeat(channels, *[1] * labels.ndim), "labels": plain}
    )
    return changed["image"], changed["labels"]


@pytest.mark.parametrize("ndim", [2, 3])
class TestAugmentation:
    def labels(self, ndim: int) -> np.ndarray:
        side = 32 if ndim == 2 else 20
        return ball(side, ndim, side / 4, y=2, x=-2) * np.uint8(3)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_shapes_and_label_values_stay(self, ndim: int, channels: int) -> None:
        labels = self.labels(ndim)
        wish = Augment(mirror_axes=tuple(range(ndim)), **EVERYTHING)
        for seed in range(12):
            image, moved = augmented(wish, labels, seed, channels)
            assert image.shape == (channels, *labels.shape)
            assert moved.shape == (1, *labels.shape)
            assert set(moved.unique().tolist()) <= {0, 3}
            assert image.isfinite().all()

    @pytest.mark.parametrize(
        "space",
        [{"mirror_axes": (0, 1)}, {"rotate": 90}, {"scale": 0.3}, {"elastic": 3}],
        ids=lambda space: next(iter(space)),
    )
    def test_image_and_labels_move_together(
        self, ndim: int, space: dict[str, Any]
    ) -> None:
        labels = self.labels(ndim)
        still = {"rotate": 0.0, "scale": 0.0, **SPACE}
        moves = 0
        for seed in range(20):
            image, moved = augmented(Augment(**still | space), labels, seed)
            there = image > 1.5
            both = (there & (moved > 0)).sum()
            assert 2 * both / (there.sum() + (moved > 0).sum()) > 0.9
            moves += not torch.equal(
                torch.as_tensor(moved[0]), torch.from_numpy(labels)
            )
        assert moves  # else nothing was tried

    def test_grey_values_leave_the_labels_alone(self, ndim: int) -> None:
        labels = self.labels(ndim)
        changed = 0
        for seed in range(10):
            image, same = augmented(Augment(rotate=0, scale=0), labels, seed)
            np.testing.assert_array_equal(same[0].numpy(), labels)
            changed += not np.array_equal(image[0].numpy(), labels)
        assert changed > 5

    def test_a_seed_has_its_own_change(self, ndim: int) -> None:
        labels = self.labels(ndim)
        wish = Augment(mirror_axes=(0,), **EVERYTHING)
        first, again = (augmented(wish, labels, 5) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        others = [augmented(wish, labels, seed)[0] for seed in range(6, 10)]
        assert not all(torch.equal(first[0], other) for other in others)

    def test_nothing_wished_nothing_changed(self, ndim: int) -> None:
        labels = self.labels(ndim)
        image, same = augmented(Augment(rotate=0, scale=0, **SPACE), labels, 0)
        np.testing.assert_array_equal(image[0].numpy(), labels)
        np.testing.assert_array_equal(same[0].numpy(), labels)


class TestPrepare:
    def test_intensity_and_grid_are_the_models(self) -> None:
        labels = ball(20, 2, 6)
        image = (labels[None] * 100 + 50).astype(np.int16)
        given = Case("a", "g", image, labels, (1.0, 2.0))
        ready = prepare(given, Intensity(kind="zscore"), (1.0, 1.0))
        assert ready.image.shape == (1, 20, 40)
        assert ready.labels.shape == (20, 40)
        assert ready.image.dtype == np.float32
        assert (ready.name, ready.group, ready.spacing) == ("a", "g", (1.0, 1.0))
        assert ready.labels.sum() == pytest.approx(2 * labels.sum(), rel=0.05)
        assert given.image is image  # untouched

    def test_without_a_spacing_the_grid_stays(self) -> None:
        labels = ball(8, 2, 2)
        ready = prepare(case(labels), Intensity(kind="zscore"), None)
        assert ready.spacing == (1.0, 1.0)
        np.testing.assert_array_equal(ready.labels, labels)
        assert ready.image.mean() == pytest.approx(0, abs=1e-6)
        assert ready.image.std() == pytest.approx(1, abs=1e-5)

    def test_a_real_scan(self, data_dir: Path) -> None:
        images = sorted((data_dir / "mri_hippocampus" / "images").glob("*.nii.gz"))
        if not images:
            pytest.skip(f"no hippocampus scans in {data_dir}")
        path = images[0]
        image, labels = (
            np.asarray(nib.load(p).dataobj)
            for p in (path, path.parents[1] / "labels" / path.name)
        )
        given = Case("h", "h", image[None], labels.astype(np.uint8), (1.0, 1.0, 1.0))
        ready = prepare(given, Intensity(kind="zscore"), (1.5, 1.5, 1.5))
        assert set(np.unique(ready.labels)) == {0, 1, 2}
        for value in (1, 2):
            before = np.sum(labels == value)
            assert np.sum(ready.labels == value) * 1.5**3 == pytest.approx(
                before, rel=0.1
            )


GOLDEN_SIDES = "tvltttttttltttvtttttttvt"  # train, validation, locked


class TestRareStructures:
    def cases(self) -> list[Case]:
        """Label 1 in all of ten cases, label 2 in the last only."""
        made = []
        for i in range(10):
            labels = np.zeros((40, 40), np.uint8)
            labels[5:15, 5:15] = 1
            if i == 9:
                labels[30, 30] = 2
            made.append(case(labels, name=str(i)))
        return made

    def share(self, *, class_balance: bool) -> float:
        sampler = PatchSampler(self.cases(), (8, 8), 1.0, class_balance=class_balance)
        random = np.random.default_rng(0)
        return float(
            np.mean([(sampler.draw(random)[1] == 2).any() for _ in range(800)])
        )

    def test_are_oversampled_when_asked(self) -> None:
        # Five standard deviations of 800 draws: 5 √(p (1 − p) / 800)
        assert self.share(class_balance=True) == pytest.approx(1 / 2, abs=0.09)
        assert self.share(class_balance=False) == pytest.approx(1 / 20, abs=0.04)

    def test_the_other_patches_come_from_all_cases(self) -> None:
        sampler = PatchSampler(self.cases(), (8, 8), 0.0, class_balance=True)
        random = np.random.default_rng(0)
        names = {sampler.pick(random).case.name for _ in range(200)}
        assert names == {str(i) for i in range(10)}

    @pytest.mark.parametrize("class_balance", [False, True])
    def test_no_structure_anywhere_gives_patches_from_anywhere(
        self, class_balance: bool
    ) -> None:
        empty = case(np.zeros((20, 20), np.uint8))
        sampler = PatchSampler([empty], (8, 8), 1.0, class_balance=class_balance)
        assert not sampler.draw(np.random.default_rng(0))[1].any()

    @pytest.mark.parametrize("class_balance", [False, True])
    def test_the_case_is_told_without_a_cut(self, class_balance: bool) -> None:
        sampler = PatchSampler(self.cases(), (8, 8), 0.5, class_balance=class_balance)
        for seed in range(40):
            one, two = (np.random.default_rng(seed) for _ in range(2))
            assert sampler.case_of(one) is sampler.pick(two).case

    def test_many_places_are_thinned_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("src_models.data.patches.PLACES", 10)
        labels = np.ones((10, 10), np.uint8)
        sampler = PatchSampler([case(labels)], (1, 1), 1.0)
        random = np.random.default_rng(0)
        place = np.arange(100).reshape(1, 10, 10).astype("f4")
        sampler = PatchSampler([case(labels, place)], (1, 1), 1.0)
        drawn = {float(sampler.draw(random)[0].item()) for _ in range(200)}
        assert drawn == set(range(0, 100, 10))


SPEC = NetSpec(system="unet", ndim=2, in_channels=1, classes=3)


class TestChecks:
    def test_what_is_right_passes(self) -> None:
        labels = np.array([[0, 1], [2, -1]], np.int8)
        check_cases([case(labels), case(labels.astype(np.int64))], SPEC)
        check_cases([], SPEC)

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"labels": np.full((4, 4), 7, np.uint8)}, "values [7], the class table"),
            ({"labels": np.full((4, 4), -2, np.int8)}, "values [-2]"),
            ({"labels": np.zeros((4, 5), np.uint8)}, "(1, 4, 4) and (4, 5)"),
            ({"labels": np.zeros((0, 0), np.uint8)}, "2D image (C, *S)"),
            ({"image": np.zeros((2, 4, 4))}, "2 channel(s), the net reads 1"),
            ({"image": np.full((1, 4, 4), np.nan)}, "no numbers"),
            ({"instances": np.zeros((2, 2), np.int32)}, "instances have the shape"),
        ],
        ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
    )
    def test_what_is_wrong_names_the_case(
        self, changed: dict[str, Any], says: str
    ) -> None:
        good = case(np.zeros((4, 4), np.uint8), name="good")
        bad = replace(good, name="patient7", **changed)
        with pytest.raises(InputError) as caught:
            check_cases([good, bad], SPEC)
        assert str(caught.value).startswith("case patient7: ")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_nothing_to_learn(self) -> None:
        empty, full = (case(np.full((4, 4), v, np.uint8)) for v in (0, 1))
        check_structures([empty, full])
        with pytest.raises(InputError, match="none of the 2 training images"):
            check_structures([empty, empty])

    def test_unknown_voxels_stay_unknown_on_another_grid(self) -> None:
        labels = np.zeros((12, 12), np.int8)
        labels[:, 4:8], labels[:, 8:] = 1, -1
        ready = prepare(
            replace(case(labels), instances=(labels > 0) * np.int32(9)),
            Intensity(kind="zscore"),
            (0.5, 0.5),
        )
        assert ready.labels.shape == (24, 24)
        assert {int(v) for v in np.unique(ready.labels[:, 17:])} == {-1}
        assert {int(v) for v in np.unique(ready.labels[:, 9:15])} == {1}
        assert ready.instances is not None
        assert np.array_equal(ready.instances == 9, ready.labels == 1)
