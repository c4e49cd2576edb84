"""Training of a click net: samples, steps, runs that are taken up again, recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click_runs import recipe
from safetensors.torch import load_file
from skimage.measure import label

from src_models.data.click_augment import recoloured
from src_models.data.click_cache import (
    Entry,
    Planes,
    open_entry,
    read_index,
    store,
    write_index,
)
from src_models.data.click_samples import SMALLEST, Sample, Sampler, Shares, beyond
from src_models.data.click_shapes import made_up, merged_regions, smooth_noise
from src_models.data.click_targets import draw_target
from src_models.errors import InputError
from src_models.progress import drain
from src_models.training.click_config import read_click_recipe
from src_models.training.click_fit import ClickCheck, ClickStep, click_loss, fit
from src_models.training.click_users import PictureUser

if TYPE_CHECKING:
    from collections.abc import Sequence

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> list[Planes]:
    """A picture with two discs, a volume with a bright slab."""
    folder = tmp_path_factory.mktemp("cache")
    y, x = np.ogrid[:60, :60]
    discs = np.zeros((1, 60, 60), np.uint16)
    discs[0, (y - 20) ** 2 + (x - 20) ** 2 < 90] = 1
    discs[0, (y - 40) ** 2 + (x - 42) ** 2 < 60] = 2
    colour = np.repeat((60 + 80 * discs)[..., None], 3, 3).astype(np.uint8)
    slab = np.zeros((20, 24, 28), np.uint8)
    slab[5:14, 6:20, 8:20] = 3
    grey = (slab * 100.0 - 1000)[..., None]
    entries = [
        Entry("discs", "one", "p1", (1, 1, 1), instances=True),
        Entry("slabs", "two", "p2", (1, 1, 1)),
    ]
    store(folder, entries[0], colour, discs)
    store(folder, entries[1], grey, slab)
    write_index(folder, entries)
    assert read_index(folder) == entries
    return [open_entry(folder, entry) for entry in entries]


class TestCache:
    def test_slices_with_labels_in_three_axes(self, planes: Sequence[Planes]) -> None:
        flat, volume = planes
        assert list(flat.slices) == [0]
        assert {a: (s[0], s[-1]) for a, s in volume.slices.items()} == {
            0: (5, 13),
            1: (6, 19),
            2: (8, 19),
        }
        image, labels = volume.picture(1, 6)
        assert image.shape == (20, 28, 1)
        np.testing.assert_array_equal(labels > 0, image[..., 0] > image.min())

    def test_stretched_planes_are_left_out(self, tmp_path: Path) -> None:
        labels = np.ones((20, 20, 20), np.uint8)
        entry = Entry("s", "n", "g", (5.0, 1.0, 1.0))
        store(tmp_path, entry, labels[..., None], labels)
        assert list(open_entry(tmp_path, entry).slices) == [0]

    def test_without_an_index(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="prepare"):
            read_index(tmp_path)
        (tmp_path / "index.json").write_text('[{"set": 1}]')
        with pytest.raises(InputError, match="damaged"):
            read_index(tmp_path)


class TestSamples:
    def test_what_a_sample_is(self, planes: Sequence[Planes]) -> None:
        sampler = Sampler(planes, 48, Shares(0.3, 0.3))
        for seed in range(40):
            sample = sampler.draw(np.random.default_rng(seed))
            assert sample.image.shape == (3, 48, 48)
            assert sample.image.dtype == np.float32
            assert sample.image.min() >= 0
            assert sample.image.max() <= 1
            assert sample.target.sum() >= SMALLEST
            assert not (sample.target & ~sample.valid).any()

    def test_image_and_target_stay_together(self, planes: Sequence[Planes]) -> None:
        for sample in Sampler(planes, 64, Shares(0, 0)).still(12, 0):
            inside = sample.image[0][sample.target].mean()
            outside = sample.image[0][~sample.target & sample.valid].mean()
            assert inside > outside + 0.2

    def test_thin_ones_are_shown_where_nobody_clicked(self, tmp_path: Path) -> None:
        y, x = np.indices((300, 300))
        lines = ((x % 50 < 3) | (y % 50 < 3)).astype(np.uint8)[None]
        colour = np.stack([lines * 90, lines * 60, 200 - lines * 150], -1)
        entry = Entry("lines", "one", "p", (1, 1, 1))
        store(tmp_path, entry, colour, lines)
        sampler = Sampler([open_entry(tmp_path, entry)], 48, Shares(0, 0))
        drawn = [sampler.draw(np.random.default_rng(seed)) for seed in range(40)]
        far = [one for one in drawn if len(one.elsewhere)]
        assert 4 < len(far) < 36
        assert {one.target.shape for one in drawn} == {(48, 48)}
        user = PictureUser.before(far[0])
        user.act(0, np.random.default_rng(0))
        assert not user.prompts
        assert user.seen()[8].any()

    def test_beyond_a_part(self) -> None:
        random = np.random.default_rng(0)
        image = random.random((3, 30, 30)).astype(np.float32)
        target = np.zeros((30, 30), bool)
        target[14:16] = True
        image[:, target] = np.float32(0.25)
        valid = np.ones_like(target)
        for seed in range(20):
            part = beyond(Sample(image, valid, target), 20, np.random.default_rng(seed))
            assert part.image.shape == (3, 20, 20)
            assert (part.image[:, part.target] == 0.25).all()
            assert 1 <= len(part.elsewhere) <= 4
        small = Sample(image, valid, target)
        assert beyond(small, 30, random) is small

    def test_small_structures_in_large_pictures(self, tmp_path: Path) -> None:
        labels = np.zeros((1, 120, 120), np.uint8)
        labels[0, 40:46, 70:76] = 1
        entry = Entry("spot", "one", "p", (1, 1, 1))
        store(tmp_path, entry, labels[..., None] * 100, labels)
        sampler = Sampler([open_entry(tmp_path, entry)], 48, Shares(0, 0))
        shares = [
            sampler.draw(np.random.default_rng(seed)).target.mean()
            for seed in range(60)
        ]
        assert min(shares) < 0.005  # the whole picture
        assert max(shares) > 0.04  # the window round it

    def test_the_same_seed_the_same_samples(self, planes: Sequence[Planes]) -> None:
        sampler = Sampler(planes, 32, Shares())
        one, two = (sampler.draw(np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.target, two.target)

    def test_kinds_of_targets(self) -> None:
        labels = np.zeros((20, 20), int)
        labels[2:6, 2:6] = labels[2:6, 10:14] = 1
        labels[6:9, 2:6] = 2
        seen = set()
        for seed in range(200):
            mask = draw_target(labels, np.random.default_rng(seed), instances=False)
            assert mask.any()
            assert not mask[labels == 0].any()
            seen.add((int(mask.sum()), int(label(mask).max())))
        assert {(16, 1), (32, 2), (12, 1), (44, 2)} <= seen
        assert not draw_target(
            labels * 0, np.random.default_rng(0), instances=True
        ).any()

    def test_made_up_structures(self) -> None:
        for seed in range(30):
            random = np.random.default_rng(seed)
            image, mask = made_up(48, random)
            assert image.shape == (3, 48, 48)
            assert mask.any()
            merged = merged_regions(image, np.ones((48, 48), bool), random)
            assert merged.any()
            assert label(merged, connectivity=1).max() == 1

    def test_noise(self) -> None:
        noise = smooth_noise(40, 4, np.random.default_rng(0), 2)
        assert noise.shape == (2, 40, 40)
        assert noise.std() == pytest.approx(1, abs=0.01)

    def test_colours_stay_in_range(self) -> None:
        image = np.random.default_rng(0).random((3, 24, 24)).astype(np.float32)
        for seed in range(60):
            found = recoloured(image, np.random.default_rng(seed))
            assert found.shape == image.shape
            assert found.dtype == np.float32
            assert 0 <= found.min() <= found.max() <= 1


class TestFit:
    def test_resumed_equals_uninterrupted(
        self,
        planes: Sequence[Planes],
        tmp_path: Path,
    ) -> None:
        whole = drain(fit(recipe(3, 2), planes, [], tmp_path / "whole"))
        drain(fit(recipe(3), planes, [], tmp_path / "parts"))
        parts = drain(fit(recipe(3, 2), planes, [], tmp_path / "parts"))
        untrained = drain(fit(recipe(1), planes, [], tmp_path / "short"))
        for a, b, c in zip(
            *(n.state_dict().values() for n in (whole, parts, untrained)), strict=True
        ):
            assert torch.equal(a, b)
            assert not torch.equal(a, c)

    def test_the_mean_of_the_last_cycles(
        self, planes: Sequence[Planes], tmp_path: Path
    ) -> None:
        plan = recipe(2, 1, 1, averaged=2)
        found = drain(fit(plan, planes, [], tmp_path / "whole")).state_dict()
        ends = [load_file(tmp_path / "whole" / f"end-{n}.safetensors") for n in (3, 4)]
        for name in ("stem.1.weight", "head.bias"):
            assert not torch.equal(ends[0][name], ends[1][name])
            mean = (ends[0][name] + ends[1][name]) / 2
            torch.testing.assert_close(found[name], mean)
        drain(fit(recipe(2, 1, averaged=2), planes, [], tmp_path / "parts"))
        parts = drain(fit(plan, planes, [], tmp_path / "parts")).state_dict()
        for name, value in found.items():
            torch.testing.assert_close(parts[name], value, rtol=0, atol=0)

    def test_no_mean_of_what_was_not_kept(
        self, planes: Sequence[Planes], tmp_path: Path
    ) -> None:
        drain(fit(recipe(1), planes, [], tmp_path))
        (tmp_path / "end-1.safetensors").unlink()
        with pytest.raises(InputError, match=r"end-1.*end-2.*--run"):
            drain(fit(recipe(1, 1, averaged=2), planes, [], tmp_path))
        (tmp_path / "end-2.safetensors").write_bytes(b"spoiled")
        with pytest.raises(InputError, match=r"end-2.*delete"):
            drain(fit(recipe(1, 1, 1), planes, [], tmp_path))

    def test_the_loss_falls(self, planes: Sequence[Planes], tmp_path: Path) -> None:
        plan = recipe(60, batch=4)
        steps = [s for s in fit(plan, planes, [], tmp_path) if isinstance(s, ClickStep)]
        first = np.mean([s.loss for s in steps[:8]])
        last = np.mean([s.loss for s in steps[-8:]])
        assert last < 0.85 * first

    def test_it_is_checked_and_saved(
        self, planes: Sequence[Planes], tmp_path: Path
    ) -> None:
        found = list(fit(recipe(2), planes, planes, tmp_path))
        (check,) = (one for one in found if isinstance(one, ClickCheck))
        assert check.step == 2
        assert 1 <= check.clicks <= 20
        assert 0 <= check.iou1 <= 1
        assert (tmp_path / "state-2.safetensors").is_file()

    def test_another_runs_folder(
        self, planes: Sequence[Planes], tmp_path: Path
    ) -> None:
        drain(fit(recipe(1), planes, [], tmp_path))
        with pytest.raises(InputError, match="other settings"):
            drain(fit(recipe(2).without(["slabs"]), planes, [], tmp_path))

    def test_nothing_to_learn_from(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no labelled slice"):
            drain(fit(recipe(1), [], [], tmp_path))

    def test_a_loss_that_is_no_number(
        self, planes: Sequence[Planes], tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="not a number"):
            drain(fit(recipe(20, learning_rate=1e30, clip=1e30), planes, [], tmp_path))

    def test_loss_by_hand(self) -> None:
        truth = torch.tensor([[[True, False]]])
        sure = torch.tensor([[[50.0, -50.0]]])
        assert float(click_loss(sure, truth)) == pytest.approx(0, abs=1e-6)
        # p = ½ everywhere: ln 2 + 1 − (2·½ + 1) / (1 + 1 + 1)
        even = float(click_loss(torch.zeros(1, 1, 2), truth))
        assert even == pytest.approx(np.log(2) + 1 - 2 / 3)


class TestRecipe:
    def test_ours_validates(self) -> None:
        ours = read_click_recipe(RECIPES / "click" / "2d.toml")
        assert len(ours.sets) == 11
        forbidden = {"em_isbi2012", "mri_brats2013", "wbc_smear", "axon_sem"}
        assert not forbidden & {one.folder for one in ours.sets}

    def test_sets_left_out(self) -> None:
        assert [one.folder for one in recipe().without(["discs"]).sets] == ["slabs"]
        with pytest.raises(InputError, match="no set 'disks'"):
            recipe().without(["disks"])
        with pytest.raises(InputError, match="every set"):
            recipe().without(["discs", "slabs"])

    @pytest.mark.parametrize("text", ["name = ", "name = 'x'", ""])
    def test_what_is_no_recipe(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "r.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=r"r\.toml"):
            read_click_recipe(path)
        with pytest.raises(InputError, match="cannot be read"):
            read_click_recipe(tmp_path / "none.toml")
