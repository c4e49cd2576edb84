"""Prompts drawn, windows cut and put back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src_models.errors import InputError
from src_models.interactive.focus import Window, around, cut, fraction, put_back, whole
from src_models.interactive.image import unit_range
from src_models.interactive.prompt_maps import (
    CHANNELS,
    RADIUS,
    Click,
    Stroke,
    box,
    colours_at,
    contrast,
    image_channels,
    likeness,
    marks,
    moved,
    seeds,
    stack,
    traced,
)

SIDES = st.integers(1, 30)
PLACES = st.integers(-12, 40)


class TestWindow:
    @given(SIDES, SIDES, PLACES, PLACES, SIDES)
    def test_there_and_back_at_its_own_size(
        self, rows: int, columns: int, y: int, x: int, side: int
    ) -> None:
        image = torch.arange(rows * columns, dtype=torch.float32).view(1, rows, columns)
        window = Window(y, x, side)
        where, values = put_back(cut(image, window, side)[0], window, (rows, columns))
        np.testing.assert_array_equal(values, image[0].numpy()[where])

    @given(SIDES, SIDES, st.integers(1, 70))
    def test_a_mask_of_everything_comes_back(self, y: int, x: int, size: int) -> None:
        window = whole((y, x))
        everything = np.ones((y, x), bool)
        where, _ = put_back(fraction(everything, window, size)[0], window, (y, x))
        assert where == (slice(0, y), slice(0, x))

    def test_a_square_magnified_keeps_its_rim(self) -> None:
        mask = np.zeros((20, 20), bool)
        mask[5:12, 6:13] = True
        window = Window(3, 4, 12)
        for size in (12, 24, 48, 96):
            where, values = put_back(
                fraction(mask, window, size)[0], window, mask.shape
            )
            np.testing.assert_array_equal(values > 0.5, mask[where])

    def test_places_follow_the_pixels(self) -> None:
        image = torch.zeros(1, 16, 16)
        image[0, 9, 5] = 1
        window = Window(4, 2, 8)
        seen = cut(image, window, 32)[0]
        ((y, x),) = window.places([(9, 5)], 32).tolist()
        peak = np.argwhere(seen.numpy() == seen.numpy().max()).mean(0)
        assert np.abs(peak - (y, x)).max() <= 0.5

    def test_beyond_the_image_is_zero(self) -> None:
        seen = cut(torch.ones(1, 3, 3), Window(-1, -1, 5), 5)[0]
        assert seen.sum() == 9
        assert seen[0].sum() == seen[-1].sum() == 0

    def test_all_of_an_oblong_image(self) -> None:
        assert whole((10, 4)) == Window(0, -3, 10)

    def test_round_a_box(self) -> None:
        assert around((10, 10), (19, 14), margin=2, least=4) == Window(5, 2, 20)
        assert around((10, 10), (10, 10), margin=2, least=8).side == 8

    def test_a_window_off_the_image_is_empty(self) -> None:
        where, values = put_back(torch.ones(4, 4), Window(50, 50, 4), (8, 8))
        assert values.size == 0
        assert np.zeros((8, 8))[where].size == 0


class TestMarks:
    def test_a_click_is_a_disc(self) -> None:
        drawn = marks([Click(10, 12)], 32)
        y, x = np.ogrid[:32, :32]
        disc = (y - 10) ** 2 + (x - 12) ** 2 < RADIUS**2
        np.testing.assert_array_equal(drawn[0] > 0, disc)
        assert not drawn[1:].any()

    def test_the_later_one_is_seen(self) -> None:
        drawn = marks([Click(8, 8), Click(8, 8, positive=False)], 16)
        assert not drawn[0].any()
        assert drawn[1].any()

    def test_a_box_is_filled_to_its_corners(self) -> None:
        drawn = marks([box(2, 3, 5, 9)], 16)
        assert drawn[2].sum() == 4 * 7
        assert drawn[2, 2:6, 3:10].all()

    def test_a_stroke_has_no_gaps(self) -> None:
        along = traced(Stroke(((1, 1), (1, 9), (8, 2))))
        assert np.abs(np.diff(along, axis=0)).max() <= 1 + 1e-9
        assert marks([Stroke(((4, 2), (4, 12)))], 16)[0, 4, 2:13].all()

    def test_outside_the_window_nothing_is_drawn(self) -> None:
        assert not marks([Click(-20, 5), box(40, 40, 50, 50)], 16).any()

    def test_moved_keeps_the_kind(self) -> None:
        window = Window(10, 10, 10)
        for prompt in (
            Click(12, 13),
            Stroke(((12, 13), (14, 15))),
            box(11, 11, 15, 16),
        ):
            there = moved(prompt, lambda at: window.places(at, 10))
            assert type(there) is type(prompt)
        assert moved(Click(12, 13), lambda at: window.places(at, 10)) == Click(2, 3)

    def test_seeds_by_sign(self) -> None:
        prompts = [Click(1, 2), Click(3, 4, positive=False), Stroke(((0, 0), (0, 6)))]
        assert seeds(prompts, positive=True).tolist()[0] == [1, 2]
        assert len(seeds(prompts, positive=True)) == 5
        assert seeds(prompts, positive=False).tolist() == [[3, 4]]
        assert seeds([], positive=True).shape == (0, 2)


class TestChannels:
    def test_contrast_is_the_windows_own(self) -> None:
        ramp = np.linspace(0.4, 0.5, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
        found = image_channels(ramp.repeat(3, 0), np.ones((64, 64), bool))
        assert found[0].min() == pytest.approx(-1, abs=0.05)
        assert found[0].max() == pytest.approx(1, abs=0.05)
        assert found[3].min() == pytest.approx(-0.2, abs=0.01)

    def test_beyond_the_image_is_zero(self) -> None:
        valid = np.zeros((8, 8), bool)
        valid[2:5] = True
        found = image_channels(np.full((3, 8, 8), 0.7, np.float32), valid)
        assert not found[:, ~valid].any()
        assert not image_channels(np.ones((3, 8, 8), np.float32), ~valid & valid).any()

    def test_likeness_by_hand(self) -> None:
        image = np.zeros((3, 9, 9), np.float32)
        image[:, :, 5:] = 0.1
        colours = colours_at(image, np.array([[4.0, 2.0]]))
        np.testing.assert_array_equal(colours, [[0, 0, 0]])
        found = likeness(image, colours)
        np.testing.assert_allclose(found[:, :5], 1)
        np.testing.assert_allclose(found[:, 5:], 0.5)  # 1 / (1 + 10 · 0.1)

    def test_no_place_no_likeness(self) -> None:
        image = np.ones((3, 4, 4), np.float32)
        for nowhere in (np.zeros((0, 2)), np.array([[-3.0, 1.0]])):
            colours = colours_at(image, nowhere)
            assert colours.shape == (0, 3)
            assert not likeness(image, colours).any()

    def test_likeness_to_a_place_beyond_the_window(self) -> None:
        image = np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 20, 20)
        image = image.repeat(3, 0)
        valid = np.ones((20, 20), bool)
        channels = image_channels(image, valid)
        nothing = np.zeros((20, 20), np.float32)
        assert not stack(channels, [], nothing)[8].any()
        beyond = contrast(image, valid)(np.full((1, 3), image[0, 7, 5]))
        like = stack(channels, [], nothing, beyond)[8]
        assert np.unravel_index(like.argmax(), like.shape) == (7, 5)
        assert like.max() == pytest.approx(1, abs=1e-3)

    def test_all_of_them(self) -> None:
        channels = image_channels(
            np.ones((3, 16, 16), np.float32), np.ones((16, 16), bool)
        )
        seen = stack(channels, [Click(3, 3)], np.zeros((16, 16), np.float32))
        assert seen.shape == (CHANNELS, 16, 16)
        assert seen.dtype == np.float32


class TestUnitRange:
    @pytest.mark.parametrize(
        "image",
        [
            np.full((1, 1), 7),
            np.full((4, 5), np.nan),
            np.full((3, 3), np.inf),
            np.zeros((2, 9, 3), np.uint8),
        ],
    )
    def test_without_contrast_it_is_zero(self, image: np.ndarray) -> None:
        assert not unit_range(image).any()

    def test_what_is_no_number_becomes_the_lowest(self) -> None:
        image = np.array([[np.nan, 2.0, 4.0, np.inf, -np.inf]])
        np.testing.assert_allclose(unit_range(image)[0, 0], [0, 0, 1, 0, 0], atol=0.01)

    def test_bool_and_long_integers(self) -> None:
        assert unit_range(np.array([[False, True]]))[0].tolist() == [[0, 1]]
        wide = np.array([[0, 2**63 - 1]])
        np.testing.assert_allclose(unit_range(wide)[0], [[0, 1]], atol=1e-3)

    def test_all_that_single_precision_holds(self) -> None:
        found = unit_range(np.array([[-3.4e38, 0, 3.4e38]], np.float32))
        np.testing.assert_allclose(found[0], [[0, 0.5, 1]], atol=0.01)

    def test_numbers_too_large_for_single_precision(self) -> None:
        assert np.isfinite(unit_range(np.array([[0.0, 1.0, 1e300]]))).all()

    def test_colour_stays_colour_and_opacity_goes(self) -> None:
        random = np.random.default_rng(0)
        image = random.integers(0, 255, (5, 6, 4), dtype=np.uint8)
        assert unit_range(image).shape == (3, 5, 6)
        np.testing.assert_array_equal(unit_range(image), unit_range(image[..., :3]))
        assert unit_range(image[..., :2]).shape == (1, 5, 6)

    @pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 2, 2, 2)])
    def test_what_is_no_image(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="wanted an image"):
            unit_range(np.zeros(shape))
