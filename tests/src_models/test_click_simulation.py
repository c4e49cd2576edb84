"""Simulated users, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from src_models.data.click_simulation import (
    frame,
    largest,
    largest_error,
    lasso,
    next_click,
    next_stroke,
    opening,
    spoiled,
)
from src_models.interactive.interior import interior_point
from src_models.interactive.prompt_maps import Click, marks

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def drawn(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


class TestInteriorPoint:
    def test_the_middle_of_a_square(self) -> None:
        assert interior_point(drawn("....", ".###", ".###", ".###")) == (2, 2)

    def test_beyond_the_image_is_outside(self) -> None:
        assert interior_point(np.ones((5, 5), bool)) == (2, 2)

    def test_of_equals_the_first(self) -> None:
        assert interior_point(drawn("#.#", "...", "#..")) == (0, 0)

    def test_nothing_has_none(self) -> None:
        assert interior_point(np.zeros((3, 4), bool)) is None

    @given(MASKS, st.integers(0, 9))
    def test_with_noise_it_stays_deep(self, mask: np.ndarray, seed: int) -> None:
        point = interior_point(mask, np.random.default_rng(seed), share=0.6)
        assert (point is None) == (not mask.any())
        assert point is None or mask[point]


class TestErrors:
    def test_the_largest_missing_piece(self) -> None:
        truth = drawn("##...", ".....", ".####", ".####", ".####")
        error = largest_error(truth, np.zeros_like(truth))
        assert error is not None
        assert error[1]
        np.testing.assert_array_equal(
            error[0], drawn(".....", ".....", ".####", ".####", ".####")
        )
        assert next_click(truth, np.zeros_like(truth)) == Click(3, 2, positive=True)

    def test_too_much_is_clicked_away(self) -> None:
        truth = drawn("#....", ".....", ".....")
        guess = drawn("#.###", "..###", "..###")
        assert next_click(truth, guess) == Click(1, 3, positive=False)

    def test_of_equals_the_missing_one(self) -> None:
        assert next_click(drawn("#.."), drawn("..#")) == Click(0, 0, positive=True)

    def test_of_equal_pieces_the_first(self) -> None:
        assert next_click(drawn("#..#"), drawn("....")) == Click(0, 0, positive=True)

    def test_corners_touch(self) -> None:
        truth = drawn("#....", ".#...", "..#..", "....#")
        assert largest(truth).sum() == 3

    @given(MASKS)
    def test_no_error_no_click(self, mask: np.ndarray) -> None:
        assert next_click(mask, mask) is None
        assert next_stroke(mask, mask, np.random.default_rng(0)) is None

    @given(MASKS, st.integers(0, 99))
    def test_a_click_lies_in_what_is_wrong(self, truth: np.ndarray, seed: int) -> None:
        random = np.random.default_rng(seed)
        guess = random.random(truth.shape) < 0.5
        for noise in (None, random):
            click = next_click(truth, guess, noise)
            if click is None:
                assert (truth == guess).all()
                continue
            at = int(click.y), int(click.x)
            assert truth[at] == click.positive
            assert guess[at] != click.positive

    @given(MASKS)
    def test_clicks_that_are_obeyed_come_to_an_end(self, truth: np.ndarray) -> None:
        guess = np.zeros_like(truth)
        for _ in range(truth.size):
            click = next_click(truth, guess)
            if click is None:
                break
            guess[int(click.y), int(click.x)] = click.positive
        np.testing.assert_array_equal(guess, truth)


class TestDrawings:
    @pytest.fixture
    def disc(self) -> np.ndarray:
        y, x = np.ogrid[:64, :64]
        found: np.ndarray = (y - 30) ** 2 + (x - 34) ** 2 < 12**2
        return found

    def test_a_box_holds_nearly_all_of_it(self, disc: np.ndarray) -> None:
        for seed in range(20):
            region = marks([frame(disc, np.random.default_rng(seed))], 64)[2] > 0
            assert (region & disc).sum() > 0.9 * disc.sum()
            assert region.sum() < 2 * disc.sum()

    def test_a_lasso_holds_nearly_all_of_it(self, disc: np.ndarray) -> None:
        for seed in range(20):
            region = marks([lasso(disc, np.random.default_rng(seed))], 64)[2] > 0
            assert (region & disc).sum() > 0.95 * disc.sum()
            assert region.sum() < 2 * disc.sum()

    def test_nothing_has_neither(self) -> None:
        for draw in (frame, lasso):
            with pytest.raises(ValueError, match="empty"):
                draw(np.zeros((4, 4), bool), np.random.default_rng(0))

    def test_a_stroke_has_its_corners_inside(self, disc: np.ndarray) -> None:
        nothing = np.zeros_like(disc)
        for seed in range(20):
            stroke = next_stroke(disc, nothing, np.random.default_rng(seed))
            assert stroke is not None
            assert stroke.positive
            assert all(disc[int(y), int(x)] for y, x in stroke.places)

    @given(MASKS, st.integers(0, 999))
    def test_every_target_has_an_opening(self, mask: np.ndarray, seed: int) -> None:
        if mask.any():
            assert len(opening(mask, np.random.default_rng(seed))) == 1
            again = spoiled(mask, np.random.default_rng(seed))
            assert again.shape == mask.shape
            assert again.dtype == bool
