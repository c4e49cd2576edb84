"""Clicks in volumes: cubes, samples, what an answer guarantees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src_models.data.click_cache import Entry, open_entry, store
from src_models.data.click_samples import SMALLEST, Shares
from src_models.data.click_volumes import VolumeSampler, made_up_volume, sampled
from src_models.errors import InputError
from src_models.interactive.cubes import Cube, cut, put_back, shown, whole
from src_models.interactive.net import ClickNet, folded, unfolded
from src_models.interactive.volume import VolumeManner, VolumePredictor
from src_models.interactive.volume_maps import CHANNELS, Spot, balls, places, stack
from src_models.training.click_config import ClickRecipe
from src_models.training.click_fit import ClickCheck, fit

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.data.click_cache import Planes

TINY: dict[str, Any] = {"ndim": 3, "widths": (8, 16), "depth": (1, 1), "attention": 1}


def tiny_predictor() -> VolumePredictor:
    torch.manual_seed(0)
    net = ClickNet(in_channels=CHANNELS, **TINY).eval()
    return VolumePredictor(net, VolumeManner(size=12))


class TestFold:
    def test_as_the_library_in_2d(self) -> None:
        x = torch.randn(2, 3, 8, 6)
        torch.testing.assert_close(
            folded(x), torch.nn.functional.pixel_unshuffle(x, 2), rtol=0, atol=0
        )

    @pytest.mark.parametrize("sides", [(8, 6), (4, 6, 2)])
    def test_there_and_back(self, sides: tuple[int, ...]) -> None:
        x = torch.randn(2, 3, *sides)
        assert folded(x).shape[1] == 3 * 2 ** len(sides)
        assert torch.equal(unfolded(folded(x)), x)


class TestCubes:
    def test_the_whole_volume_at_its_own_size(self) -> None:
        volume = np.random.default_rng(0).random((9, 9, 9), np.float32)
        cube = whole((9, 9, 9), (2, 2, 2))
        assert cube == Cube((8, 8, 8), 18)
        np.testing.assert_allclose(cut(volume, cube, 9, (2, 2, 2)), volume, rtol=1e-5)
        assert shown((9, 9, 9), cube, 9, (2, 2, 2)).all()

    def test_beyond_is_zero(self) -> None:
        volume = np.ones((6, 6, 6))
        seen = cut(volume, Cube((0, 0, 0), 8), 8, (1, 1, 1))
        assert np.abs(seen[:3]).max() == 0
        np.testing.assert_allclose(seen[4:, 4:, 4:], 1)
        inside = shown((6, 6, 6), Cube((0, 0, 0), 8), 8, (1, 1, 1))
        np.testing.assert_array_equal(inside, seen > 0.5)

    def test_averaged_where_it_shrinks(self) -> None:
        volume = np.random.default_rng(0).random((8, 8, 8), np.float32)
        small = cut(volume, whole((8, 8, 8), (1, 1, 1)), 2, (1, 1, 1))
        wanted = volume.reshape(2, 4, 2, 4, 2, 4).mean((1, 3, 5))
        np.testing.assert_allclose(small, wanted, rtol=1e-5)

    def test_a_place_is_where_the_axes_say(self) -> None:
        cube = Cube((4.0, 5.0, 6.0), 10.0)
        z, y, x = cube.axes(7)
        at = np.array([[z[1], y[2], x[3]]])
        np.testing.assert_allclose(cube.places(at, 7), [[1, 2, 3]])

    @settings(max_examples=40, deadline=None)
    @given(
        st.tuples(*[st.floats(-4, 16)] * 3),
        st.floats(0.5, 40),
        st.sampled_from([(1, 1, 1), (3, 1, 0.5), (0.25, 0.25, 2)]),
        st.integers(2, 9),
    )
    def test_as_the_library_samples(
        self, middle: Any, side: float, spacing: Any, size: int
    ) -> None:
        # the same cut by pooling and sampling at every single place
        volume = np.random.default_rng(0).random((5, 9, 14), np.float32)
        cube = Cube(middle, side)
        at = np.stack(np.meshgrid(*cube.axes(size), indexing="ij"), -1) / spacing
        layers = torch.from_numpy(np.stack([volume, np.ones_like(volume)]))
        wanted, ones = sampled(layers, at).numpy()
        np.testing.assert_allclose(cut(volume, cube, size, spacing), wanted, atol=1e-4)
        unsure = np.abs(ones - 0.5) < 1e-4
        inside = shown(volume.shape, cube, size, spacing)
        np.testing.assert_array_equal((inside | unsure), ((ones > 0.5) | unsure))

    @settings(max_examples=25, deadline=None)
    @given(
        st.tuples(*[st.floats(-3, 12)] * 3),
        st.floats(1, 20),
        st.sampled_from([(1, 1, 1), (3, 1, 0.5)]),
    )
    def test_put_back_fits(self, middle: Any, side: float, spacing: Any) -> None:
        shape = (5, 9, 14)
        box, values = put_back(
            np.ones((6, 6, 6), "f4"), Cube(middle, side), shape, spacing
        )
        assert np.zeros(shape)[box].shape == values.shape
        np.testing.assert_allclose(values, 1, rtol=1e-5)

    def test_a_ball_comes_back(self) -> None:
        steps = np.indices((12, 24, 24)) * np.array([2, 1, 1]).reshape(3, 1, 1, 1)
        ball = ((steps - 11) ** 2).sum(0) < 64
        cube = Cube((11, 11, 11), 22)
        seen = cut(ball, cube, 44, (2, 1, 1))
        box, values = put_back(seen, cube, ball.shape, (2, 1, 1))
        again = np.zeros(ball.shape, bool)
        again[box] = values > 0.5
        assert (again & ball).sum() / (again | ball).sum() > 0.93


class TestMaps:
    def test_the_later_click_is_seen(self) -> None:
        spots = [Spot((4, 4, 4)), Spot((4, 4, 5), positive=False)]
        drawn = balls(spots, (9, 9, 9))
        assert drawn[1, 4, 4, 5] == 1
        assert drawn[0, 4, 4, 5] == 0
        assert drawn[0, 4, 4, 3] == 1
        assert (drawn.sum(0) <= 1).all()

    def test_beyond_the_window_nothing_is_drawn(self) -> None:
        assert not balls([Spot((-9, 0, 0)), Spot((0, 40, 0))], (5, 5, 5)).any()

    def test_channels(self) -> None:
        spots = [Spot((1, 2, 3))]
        found = stack(np.zeros((2, 5, 6, 7), "f4"), spots, np.ones((5, 6, 7), "f4"))
        assert found.shape == (CHANNELS, 5, 6, 7)
        assert (found[4] == 1).all()
        assert places(spots, positive=False).shape == (0, 3)


class TestGuarantees:
    def test_values_as_wide_as_single_precision_change_nothing(self) -> None:
        z, y, x = np.ogrid[-6:6, -6:6, -6:6]
        plain = np.where(z**2 + y**2 + x**2 < 16, 1, -1).astype(np.float32)
        found = []
        for factor in (1, 2.0**127):
            predictor = tiny_predictor()
            predictor.set_volume(plain * np.float32(factor))
            found.append(predictor.answer([Spot((6, 6, 6))]))
        np.testing.assert_array_equal(*found)

    @settings(max_examples=15, deadline=None)
    @given(
        st.sampled_from(
            [
                np.zeros((1, 1, 1)),
                np.full((3, 5, 7), np.nan),
                np.random.default_rng(0).normal(size=(9, 20, 14)),
                np.arange(60, dtype=np.int16).reshape(3, 4, 5),
            ]
        ),
        st.lists(
            st.tuples(*[st.floats(0, 1)] * 3, st.booleans()), min_size=1, max_size=4
        ),
        st.sampled_from([(1, 1, 1), (5, 0.7, 0.7)]),
    )
    def test_clicked_voxels_are_on_their_side(
        self, volume: Any, clicks: Any, spacing: Any
    ) -> None:
        predictor = tiny_predictor()
        predictor.set_volume(volume, spacing)
        last = np.array(volume.shape) - 1
        spots = [
            Spot(tuple(np.rint(np.array(at) * last).tolist()), sign)
            for *at, sign in clicks
        ]
        mask = None
        for n in range(1, len(spots) + 1):
            mask = predictor.answer(spots[:n], mask)
            assert mask.shape == volume.shape
            for spot in {spot.place: spot for spot in spots[:n]}.values():
                assert mask[tuple(map(int, spot.place))] == spot.positive

    def test_what_cannot_be(self) -> None:
        predictor = tiny_predictor()
        with pytest.raises(InputError, match="set_volume"):
            predictor.answer([Spot((0, 0, 0))])
        for wrong in (np.zeros((3, 3)), np.zeros((0, 3, 3))):
            with pytest.raises(InputError, match="volume"):
                predictor.set_volume(wrong)
        with pytest.raises(InputError, match="spacing"):
            predictor.set_volume(np.zeros((3, 3, 3)), (1, 0, 1))
        predictor.set_volume(np.zeros((3, 3, 3)))
        with pytest.raises(InputError, match="outside"):
            predictor.answer([Spot((0, 3, 0))])
        with pytest.raises(InputError, match="previous mask"):
            predictor.answer([Spot((0, 0, 0))], np.zeros((2, 3, 3), bool))

    def test_a_click_is_looked_at_from_nearer_too(self) -> None:
        seen: list[tuple[Any, float]] = []

        class Watched(VolumePredictor):
            def _looks(self, cubes: Any, *rest: Any) -> Any:
                seen.extend((one.middle_mm, one.side_mm) for one in cubes)
                return super()._looks(cubes, *rest)

        predictor = Watched(tiny_predictor().net, VolumeManner(size=12))
        predictor.set_volume(np.random.default_rng(0).random((20, 40, 40)), (2, 1, 1))
        before = np.zeros((20, 40, 40), bool)
        before[5:15, 10:30, 10:30] = True
        after = predictor.answer([Spot((7, 15, 15)), Spot((12, 31, 25))], before)
        (_, first), *_, (middle, last) = seen
        assert middle == (24, 31, 25)
        assert first * 0.6 <= last < 40
        assert after[12, 31, 25]

    @pytest.mark.parametrize("agrees", [True, False])
    def test_anew_only_what_agrees_with_all_clicks(self, agrees: bool) -> None:
        found = np.zeros((30, 30, 30), bool)
        found[3:9, 3:9, 3:9] = True

        class Other(VolumePredictor):
            def _found(self, *_: Any) -> Any:
                return found

        predictor = Other(tiny_predictor().net, VolumeManner(size=12))
        predictor.set_volume(np.random.default_rng(0).random((30, 30, 30)))
        before = np.zeros((30, 30, 30), bool)
        before[3:28, 3:28, 3:28] = True
        earlier = Spot((6, 6, 7)) if agrees else Spot((6, 6, 11))
        spots = [Spot((6, 6, 6)), earlier, Spot((13, 13, 13), positive=False)]
        assert np.array_equal(predictor.answer(spots, before), found) == agrees

    def test_no_click_keeps_the_mask(self) -> None:
        predictor = tiny_predictor()
        predictor.set_volume(np.random.default_rng(0).random((6, 7, 8)))
        before = np.zeros((6, 7, 8), bool)
        before[2:4] = True
        np.testing.assert_array_equal(predictor.answer([], before), before)


@pytest.fixture
def planes(tmp_path: Path) -> list[Planes]:
    """Two patients with a ball each, on voxels of 2×1×1 mm."""
    made = []
    for number in range(2):
        steps = np.indices((12, 24, 24)) * np.array([2, 1, 1]).reshape(3, 1, 1, 1)
        labels = (((steps - 11 - number) ** 2).sum(0) < 49).astype(np.uint8)
        random = np.random.default_rng(number)
        image = (100 * labels + random.normal(0, 5, labels.shape))[..., None]
        entry = Entry("balls", f"ball{number}", f"p{number}", (2, 1, 1))
        store(tmp_path / "sets", entry, image, labels)
        made.append(open_entry(tmp_path / "sets", entry))
    return made


class TestSamples:
    def test_drawn(self, planes: list[Planes]) -> None:
        sampler = VolumeSampler(planes, 16, Shares(0.3, 0))
        for seed in range(12):
            one = sampler.draw(np.random.default_rng(seed))
            assert one.image.shape == (1, 16, 16, 16)
            assert one.target.sum() >= SMALLEST
            assert not (one.target & ~one.valid).any()
            assert 0 <= one.image.min() <= one.image.max() <= 1

    def test_the_target_lies_on_its_grey(self, planes: list[Planes]) -> None:
        for one in VolumeSampler(planes, 24, Shares(0, 0)).still(6, 0):
            inside = one.image[0][one.target].mean()
            outside = one.image[0][one.valid & ~one.target].mean()
            assert inside > outside + 0.4

    def test_made_up(self) -> None:
        for seed in range(8):
            one = made_up_volume(20, np.random.default_rng(seed))
            assert one.target.any()
            assert np.isfinite(one.image).all()

    def test_flat_scans_are_left_out(self, planes: list[Planes]) -> None:
        assert not VolumeSampler([], 16, Shares(0, 0)).still(3, 0)


def test_a_volume_net_learns_balls(planes: list[Planes], tmp_path: Path) -> None:
    recipe = ClickRecipe.model_validate(
        {
            "name": "tiny",
            "split": {"validation": 0.1, "locked": 0.1},
            "net": TINY,
            "samples": {"size": 16, "shapes": 0, "regions": 0},
            "train": {"batch": 2, "cycles": [40], "warmup": 2, "learning_rate": 3e-3},
            "sets": [
                {
                    "folder": "balls",
                    "images": "",
                    "labels": "",
                    "licence": "",
                    "credit": "",
                }
            ],
        }
    )
    events = list(fit(recipe, planes, planes, tmp_path / "run"))
    (check,) = [one for one in events if isinstance(one, ClickCheck)]
    assert 0 <= check.iou1 <= 1
    losses = [one.loss for one in events if not isinstance(one, ClickCheck)]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])


def test_the_bundled_net_finds_a_ball() -> None:
    from src_models.interactive import volume_predictor

    steps = np.indices((30, 60, 60)) * np.array([2, 1, 1]).reshape(3, 1, 1, 1)
    ball = ((steps - 30) ** 2).sum(0) < 144
    volume = 100 * ball + np.random.default_rng(0).normal(0, 8, ball.shape)
    predictor = volume_predictor()
    predictor.set_volume(volume, (2, 1, 1))
    mask = predictor.answer([Spot((15, 30, 30))])
    assert (mask & ball).sum() / (mask | ball).sum() > 0.6
