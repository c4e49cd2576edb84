"""Thin structures: how thick, whether they run on, followed window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click_runs import FirstFact
from hypothesis import given
from hypothesis import strategies as st

from src_models.interactive.focus import Window
from src_models.interactive.looks import Look
from src_models.interactive.net import ClickNet
from src_models.interactive.predictor import ClickPredictor, Manner
from src_models.interactive.prompt_maps import CHANNELS, Click
from src_models.interactive.thin import (
    BEST,
    MOST,
    connected,
    is_tree,
    side_of_tree,
    spread,
    thick_at,
    thickness,
    tiles,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.interactive.looks import Question

TINY: dict[str, Any] = {"widths": (8, 16), "depth": (1, 1), "attention": 1}


class Bright(ClickNet):
    """Answers whatever is brighter than the middle of the window's contrast."""

    def __init__(self, promised: float) -> None:
        super().__init__(in_channels=CHANNELS, **TINY)
        self.promised = promised
        self.judge = FirstFact()

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        promise = torch.full((len(x), 1), self.promised)
        return 20 * torch.where(x[:, 3] > 0, 1.0, -1.0), promise


class Asked(ClickPredictor):
    """Remembers which windows it asked about."""

    def __init__(self, promised: float = 0.0) -> None:
        super().__init__(Bright(promised), Manner(size=96))
        self.windows: list[Window] = []
        self.set_image(cross().astype(float))

    def _looks(self, questions: Sequence[Question]) -> list[Look]:
        self.windows += [one.window for one in questions]
        return super()._looks(questions)


def cross(side: int = 400) -> np.ndarray:
    """Two lines, 4 pixels thick, that meet in the middle."""
    mask = np.zeros((side, side), bool)
    mask[side // 2 - 2 : side // 2 + 2] = True
    mask[:, side // 2 - 2 : side // 2 + 2] = True
    return mask


class TestThickness:
    def test_by_hand(self) -> None:
        line = np.zeros((9, 40), bool)
        assert thickness(line) == 0
        line[3:7, 5:35] = True
        assert thickness(line) == pytest.approx(2 * 120 / 64)
        line[:] = False
        line[4, 4] = True
        assert thickness(line) == 2


class TestTiles:
    @given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.integers(4, 40))
    def test_every_pixel_is_seen(self, shape: tuple[int, int], side: int) -> None:
        seen = np.zeros(shape, int)
        for window in tiles(shape, side):
            assert window.side == side
            seen[window.inside(shape)] += 1
        assert seen.min() >= 1

    def test_neighbours_overlap(self) -> None:
        rows = sorted({window.y for window in tiles((100, 40), 40)})
        assert rows == [0, 30, 60]


class TestSpread:
    def test_the_whole_picture_is_asked_about(self) -> None:
        image = np.random.default_rng(0).random((50, 70)) > 0.5
        asked: list[Question] = []

        def looks(questions: Sequence[Question]) -> list[Look]:
            asked.extend(questions)
            found = []
            for one in questions:
                raw = torch.full((24, 24), -9.0)
                raw[torch.from_numpy(image[one.window.inside(image.shape)])] = 9.0
                whole = torch.ones(24, 24, dtype=torch.bool)
                found.append(Look(one.window, image.shape, raw, whole, torch.zeros(1)))
            return found

        clicks = [Click(3, 3)]
        np.testing.assert_array_equal(spread(looks, clicks, image.shape, 24) > 0, image)
        assert {one.window for one in asked} == set(tiles(image.shape, 24))
        assert all(one.prompts is clicks for one in asked)

    def test_large_pictures_are_seen_through_wider_windows(self) -> None:
        asked: list[Question] = []

        def looks(questions: Sequence[Question]) -> list[Look]:
            asked.extend(questions)
            return []

        spread(looks, [Click(3, 3)], (900, 1200), 40)
        assert 0.6 * MOST < len(asked) <= MOST


class TestTree:
    def look(self, mask: np.ndarray, window: Window) -> Look:
        seen = torch.from_numpy(mask[window.inside(mask.shape)])
        logits = torch.where(seen, 9.0, -9.0)
        return Look(window, mask.shape, logits, torch.ones_like(seen), torch.zeros(1))

    def test_lines_that_run_on(self) -> None:
        found = self.look(cross(), Window(150, 150, 100))
        thick = thickness(cross()[150:250, 150:250])
        assert side_of_tree([found]) == round(BEST * thick)

    def test_what_ends_or_is_thick_is_none(self) -> None:
        ends = np.zeros((400, 400), bool)
        ends[180:184, 160:240] = True
        thick = np.zeros((400, 400), bool)
        thick[:, 180:220] = True
        for mask in (ends, thick, np.zeros_like(ends)):
            assert side_of_tree([self.look(mask, Window(150, 150, 100))]) == 0

    def test_connected_over_a_gap(self) -> None:
        mask = cross()
        mask[:, 100:108] = False
        mask[:, 300:340] = False
        mask[20:30, 20:30] = True
        kept = connected(mask, np.array([[200.0, 200.0]]))
        assert kept[200, 50]
        assert not kept[200, 380]
        assert not kept[25, 25]
        nowhere = connected(mask, np.array([[0.0, 0.0]]))
        np.testing.assert_array_equal(nowhere, mask)

    def test_a_blob_on_lines_is_thick(self) -> None:
        mask = cross()
        assert not thick_at(mask, np.array([[200.0, 200.0]]))
        y, x = np.ogrid[:400, :400]
        mask |= (y - 200) ** 2 + (x - 200) ** 2 < 15**2
        assert thick_at(mask, np.array([[200.0, 200.0]]))
        assert not thick_at(mask, np.array([[200.0, 50.0]]))
        assert not thick_at(mask, np.zeros((0, 2)))

    def test_a_trunk_among_twigs_is_not(self) -> None:
        mask = np.zeros((300, 300), bool)
        mask[20:280:20] = True  # twigs, and one trunk of 9 pixels
        mask[140:149] = True
        trunk = np.array([[144.0, 150.0]])
        assert 5 / thickness(mask) > 1.35
        assert not thick_at(mask, trunk)
        mask[135:154] = True
        assert thick_at(mask, trunk)

    def test_a_tree_that_grew_thicker_stays_one(self) -> None:
        line = np.zeros((300, 300), bool)
        line[150:158, :280] = True
        assert 30 < 280 / thickness(line) < 45
        assert is_tree(line)

    def test_what_is_a_tree(self) -> None:
        assert is_tree(cross())
        assert not is_tree(cross(100))
        assert not is_tree(np.zeros((9, 9), bool))


class TestPredictor:
    def test_a_tree_is_followed_over_the_picture(self) -> None:
        found = Asked().predict([(200, 200, True)])
        assert (found & cross()).sum() > 0.95 * cross().sum()

    def test_what_promises_enough_is_not(self) -> None:
        predictor = Asked(0.9)
        predictor.predict([(200, 200, True)])
        assert len(predictor.windows) <= 6

    def test_it_is_mended_at_its_own_scale(self) -> None:
        predictor = Asked()
        previous = cross()
        previous[:, :60] = False
        found = predictor.predict([(200, 200, True), (200, 40, True)], previous)
        (window,) = predictor.windows
        assert window.side == int(BEST * thickness(previous))
        assert found[200, 30:60].all()
        np.testing.assert_array_equal(found[:, 120:], previous[:, 120:])
