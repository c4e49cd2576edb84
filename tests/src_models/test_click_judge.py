"""A click net that says how good its answers are, and scales chosen by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click_runs import FirstFact, recipe

from src_models.data.click_cache import Entry, open_entry, store
from src_models.interactive.choice import judged_by, most_agreed, promises
from src_models.interactive.cubes import Cube
from src_models.interactive.focus import Window
from src_models.interactive.looks import Look
from src_models.interactive.net import OF_VIEW, ClickNet, Judge
from src_models.interactive.predictor import ClickPredictor, Manner
from src_models.interactive.prompt_maps import CHANNELS, Click, Region, box
from src_models.interactive.volume_looks import VolumeLook
from src_models.progress import drain
from src_models.training.click_fit import fit
from src_models.training.click_judge import (
    JudgeStep,
    PictureClicks,
    first_answers,
    fit_judge,
)

if TYPE_CHECKING:
    from pathlib import Path

TINY: dict[str, Any] = {"widths": (8, 16), "depth": (1, 1), "attention": 1}


@pytest.mark.parametrize(("ndim", "side"), [(2, 30), (3, 12)])
def test_it_changes_nothing_in_the_net(ndim: int, side: int) -> None:
    torch.manual_seed(0)
    net = ClickNet(in_channels=4, ndim=ndim, judge=True, **TINY)
    assert net.judge is not None
    x = torch.randn(2, 4, *[side] * ndim)
    logits, facts = net.answer(x)
    assert facts.shape == (2, len(net.judge.mean) - OF_VIEW)
    torch.testing.assert_close(logits, net(x))


def test_the_facts_of_an_answer() -> None:
    logits = torch.full((2, 8, 8), -30.0)
    logits[0, 2:4, 2:4] = 30.0  # inside
    logits[1, 0] = 30.0  # along a side
    features = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(2, 1, 1, 1)
    facts = Judge.facts(features, logits)
    assert facts.shape == (2, 4)
    held, sure, rim, size = facts[0].tolist()
    assert held == pytest.approx(5, abs=0.01)  # feature (1, 1)
    assert sure == pytest.approx(4 / 5)
    assert rim == 0
    assert size == pytest.approx(math.log(5))
    assert facts[1, 2] == pytest.approx(1 + 2 / 8)  # one side, a pixel of two others


def views() -> list[Look]:
    """A square of 20 × 20 in a picture of 80 × 80, seen whole, by halves and closer."""
    truth = np.zeros((80, 80), bool)
    truth[30:50, 30:50] = True
    found = []
    for side in (80, 40, 20):
        window = Window(40 - side // 2, 40 - side // 2, side)
        raw = torch.from_numpy(np.where(truth[window.inside((80, 80))], 5.0, -5.0))
        raw = raw if side == 20 else raw.clone()
        raw[: side // 2] = -5.0 if side == 40 else raw[: side // 2]
        whole = torch.ones(side, side, dtype=torch.bool)
        found.append(Look(window, (80, 80), raw, whole, torch.full((2,), float(side))))
    return found


def test_what_is_judged_by() -> None:
    whole, half, close = looks = views()
    assert whole.agreement(half) == pytest.approx(0.5)
    assert half.agreement(close) == pytest.approx(0.5)
    table = judged_by(looks)
    assert table[:, :2].tolist() == [[80, 80], [40, 40], [20, 20]]
    assert table[:, 2:].tolist() == [[0, -1, 0.5], [1, 0.5, 0.5], [2, 0.5, -1]]
    assert judged_by(looks[:1])[0, 2:].tolist() == [0, -1, -1]


def test_without_a_judge_answers_speak_for_themselves() -> None:
    net = ClickNet(in_channels=4, **TINY)
    found = promises(net, views())
    assert all(0.8 < one < 1 for one in found)


def test_it_learns_what_the_facts_tell() -> None:
    random = torch.Generator().manual_seed(0)
    judge = Judge(2)
    facts = list(50 + 20 * torch.randn(300, 4, len(judge.mean), generator=random))
    reached = [(one[:, 3] > 50).float() * 0.8 + 0.1 for one in facts]
    error = fit_judge(judge, facts, reached, 0)
    assert error < 0.2  # 0.4 without the facts
    assert not any(p.requires_grad for p in judge.parameters())
    again = Judge(2)
    fit_judge(again, facts, reached, 0)
    torch.testing.assert_close(judge(facts[0]), again(facts[0]))


def test_what_is_like_nothing_it_learnt_from_is_judged_by_a_line() -> None:
    random = torch.Generator().manual_seed(0)
    judge = Judge(2)
    facts = list(torch.randn(300, 4, len(judge.mean), generator=random))
    reached = [((one[:, 3].abs() < 0.67) * 0.8 + 0.1) for one in facts]
    assert fit_judge(judge, facts, reached, 0) < 0.3  # 0.4 by any line
    with torch.no_grad():
        far = 40 * facts[0]
        level = judge.heights.bias
        torch.testing.assert_close(
            judge(far), judge.line(judge.standard(far))[:, 0] + level
        )
        assert not torch.allclose(
            judge(facts[0]),
            judge.line(judge.standard(facts[0]))[:, 0] + level,
            atol=0.1,
        )


class Told(ClickNet):
    """Answers all of a window; its facts say how much of it is bright."""

    def __init__(self) -> None:
        super().__init__(in_channels=CHANNELS, **TINY)
        self.judge = FirstFact()

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bright = (x[:, 3] > 0).float().mean((1, 2))
        return torch.full((len(x), *x.shape[2:]), 5.0), bright[:, None]


def square() -> np.ndarray:
    image = np.zeros((96, 96))
    image[36:60, 36:60] = 1
    return image


def test_the_scale_that_promises_most_answers() -> None:
    predictor = ClickPredictor(Told(), Manner(size=32))
    predictor.set_image(square())
    found = predictor.predict([(47.5, 47.5, True)])
    np.testing.assert_array_equal(found, square() > 0)


class Asked(ClickPredictor):
    """Notes what first answers were sought for."""

    def first_looks(self, prompts: Any, widest: float = np.inf) -> list[Look]:
        self.asked = [*getattr(self, "asked", []), list(prompts)]
        return super().first_looks(prompts, widest)


def test_a_box_alone_is_asked_again_with_the_middle_of_its_answer() -> None:
    rim, middle, away = box(30, 30, 66, 66), Click(47, 47), Click(2, 2, positive=False)
    predictor = Asked(Told(), Manner(size=32))
    predictor.set_image(square())
    found = predictor.answer([rim])
    first, again = predictor.asked
    assert first == [rim]
    assert again[:-1] == [rim]
    assert again[-1].positive
    assert found[int(again[-1].y), int(again[-1].x)]
    predictor.asked = []
    predictor.answer([rim, middle])
    predictor.answer([rim, away])
    assert predictor.asked == [[rim, middle], [rim, away]]


class Silent(Told):
    """Says nothing as long as nothing is clicked."""

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, facts = super().answer(x)
        clicked = x[:, 4].flatten(1).amax(1) > 0
        return torch.where(clicked[:, None, None], logits, -5.0), facts


@pytest.mark.parametrize(
    ("rim", "middle"),
    [
        (box(40, 50, 40, 50), (40, 50)),  # of one pixel
        (box(39.7, 49.6, 40.2, 50.4), (40, 50)),  # that holds no pixel's middle
        (box(20, 30, 40, 50), (30, 40)),
        (box(-30, 30, 4, 34), (2, 32)),  # half beyond the image
    ],
)
def test_of_a_box_without_an_answer_the_middle_is_meant(
    rim: Region, middle: tuple[int, int]
) -> None:
    predictor = Asked(Silent(), Manner(size=32))
    predictor.set_image(square())
    found = predictor.answer([rim])
    _, (_, click) = predictor.asked
    assert (click.y, click.x) == middle
    assert found[middle]


def test_of_a_box_beyond_the_image_nothing_is_meant() -> None:
    predictor = ClickPredictor(Silent(), Manner(size=32))
    predictor.set_image(square())
    assert not predictor.answer([box(-30, 30, -10, 34)]).any()


def disks(*radii: float) -> list[np.ndarray]:
    y, x = np.ogrid[:60, :60]
    return [np.asarray((y - 30) ** 2 + (x - 30) ** 2 <= r * r) for r in radii]


def test_answers_that_agree_win_over_one_that_promises_little_more() -> None:
    masks = disks(25, 10, 9.5, 9)
    assert most_agreed([0.55, 0.5, 0.5, 0.5], masks) == 2
    assert most_agreed([0.95, 0.5, 0.5, 0.5], masks) == 0
    assert most_agreed([0.3, 0.9, 0.3, 0.3], disks(25, 3, 25, 25)) == 1


def test_one_answer_or_empty_ones_are_chosen_too() -> None:
    empty = np.zeros((60, 60), bool)
    assert most_agreed([0.0], [empty]) == 0
    assert most_agreed([0.1, 0.8, 0.1], [empty, *disks(5), empty]) == 1
    assert most_agreed([0.4, 0.5], [empty, empty]) == 0


def test_answers_and_the_iou_they_reach() -> None:
    predictor = ClickPredictor(Told(), Manner(size=32))
    predictor.set_image(square())

    class AtHand(PictureClicks):
        def __init__(self) -> None:
            self._predictor = predictor

    facts, reached = first_answers(
        AtHand(), square(), square() > 0, np.random.default_rng(0)
    )
    sides = [one.window.side for one in predictor.first_looks([Click(47, 47)])]
    assert sides == [96, 48, 24]
    assert facts[:, 1].tolist() == [0, 1, 2]
    assert reached[0] == pytest.approx(24**2 / 96**2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_run_ends_with_its_judge(tmp_path: Path, ndim: int) -> None:
    z, y, x = np.ogrid[: 1 if ndim == 2 else 24, :60, :60]
    body = (z - z.size // 2) ** 2 + (y - 30) ** 2 + (x - 28) ** 2 < 120
    entry = Entry("ball", "one", "p", (1, 1, 1))
    store(tmp_path / "cache", entry, body[..., None] * np.uint8(90), body.astype("u1"))
    planes = [open_entry(tmp_path / "cache", entry)]
    plan = recipe(2, judged=6, ndim=ndim)
    steps = list(fit(plan, planes, [], tmp_path / "run"))
    assert [one for one in steps if isinstance(one, JudgeStep)][-1] == JudgeStep(6, 6)
    again = drain(fit(plan, planes, [], tmp_path / "run"))
    assert again.judge is not None
    assert again.judge.mean.any()


def test_answers_in_a_volume() -> None:
    """A block that fills the closer of two cubes, and half of it is seen from farther."""
    shape, spacing = (10, 20, 20), (2.0, 1.0, 1.0)
    far, near = Cube((10.0, 9.5, 9.5), 20.0), Cube((10.0, 9.5, 9.5), 10.0)
    raw = torch.full((20, 20, 20), -5.0)
    raw[5:15, 5:15, 5:10] = 5.0
    there = torch.ones(20, 20, 20, dtype=torch.bool)
    facts = torch.zeros(2)
    wide = VolumeLook(far, shape, spacing, raw, there, facts)
    close = VolumeLook(near, shape, spacing, there * 5.0, there, facts)
    assert wide.side == 20
    assert close.mask().sum() == 5 * 10 * 10
    assert wide.mask().sum() == 5 * 10 * 5
    assert wide.agreement(close) == pytest.approx(0.5)
    assert judged_by([wide, close])[:, 2:].tolist() == [[0, -1, 0.5], [1, 0.5, -1]]
    box, values = close.logits()
    assert values.shape == (5, 10, 10)
    assert close.mask()[box].all()
    beside = (slice(0, 3), slice(0, 20), slice(0, 20))
    assert close.logits(beside)[1].size == 0
    assert not wide.reaches_out()
    assert close.reaches_out()
