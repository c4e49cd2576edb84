"""A click net that says how good its answers are, and scales chosen by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click_runs import recipe

from src_models.data.click_cache import Entry, open_entry, store
from src_models.data.click_samples import Sampler, Shares
from src_models.interactive.net import ClickNet, Judge
from src_models.interactive.predictor import ClickPredictor, Manner
from src_models.interactive.prompt_maps import CHANNELS
from src_models.progress import drain
from src_models.training.click_fit import fit
from src_models.training.click_judge import JudgeStep, fit_judge, reached_iou

if TYPE_CHECKING:
    from pathlib import Path

TINY: dict[str, Any] = {"widths": (8, 16), "depth": (1, 1), "attention": 1}


@pytest.mark.parametrize(("ndim", "side"), [(2, 30), (3, 12)])
def test_it_changes_nothing_in_the_net(ndim: int, side: int) -> None:
    torch.manual_seed(0)
    net = ClickNet(in_channels=4, ndim=ndim, judge=True, **TINY)
    x = torch.randn(2, 4, *[side] * ndim)
    logits, promise = net.answer(x)
    assert promise is not None
    assert promise.shape == (2,)
    torch.testing.assert_close(logits, net(x))
    net.judge = None
    torch.testing.assert_close(logits, net(x))
    assert net.answer(x)[1] is None


def test_the_iou_reached_by_hand() -> None:
    logits = torch.full((1, 4, 4), -9.0)
    truth = torch.zeros((1, 4, 4), dtype=torch.bool)
    logits[0, 0] = 9.0
    truth[0, 0, :2] = True
    assert reached_iou(logits, truth, torch.tensor([0.0])).tolist() == [0.5]
    assert reached_iou(logits, truth, torch.tensor([4.0])).tolist() == [0.25]
    nothing = torch.zeros_like(truth)
    assert reached_iou(logits - 99, nothing, torch.tensor([0.0])).tolist() == [0]


def test_it_learns_what_the_facts_tell() -> None:
    random = torch.Generator().manual_seed(0)
    judge = Judge(2, 2)
    facts = 50 + 20 * torch.randn(1000, 9, generator=random)
    reached = (facts[:, 3] > 50).float() * 0.8 + 0.1
    error = fit_judge(judge, facts, reached, 0)
    assert error < 0.2  # 0.4 without the facts
    promised = judge(facts).sigmoid()
    assert float((promised - reached).abs().mean()) < 0.2


def test_the_facts_of_an_answer() -> None:
    logits = torch.full((2, 8, 8), -30.0)
    logits[0, 2:4, 2:4] = 30.0  # inside
    logits[1, 0] = 30.0  # along a side
    features = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(2, 1, 1, 1)
    deepest = torch.full((2, 1, 1, 1), 3.0)
    facts = Judge.facts(deepest, features, logits)
    assert facts.shape == (2, 6)
    deep, inside, held, sure, rim, size = facts[0].tolist()
    assert deep == 3
    assert inside == pytest.approx(3, rel=0.02)
    assert held == pytest.approx(5, abs=0.01)  # feature (1, 1)
    assert sure == pytest.approx(4 / 5)
    assert rim == 0
    assert size == pytest.approx(math.log(5))
    assert facts[1, 4] == pytest.approx(1 + 2 / 8)  # one side, a pixel of two others


def test_a_view_shows_what_is_hidden(tmp_path: Path) -> None:
    labels = np.zeros((1, 120, 120), np.uint8)
    labels[0, 30:90, 30:90] = 1
    entry = Entry("square", "one", "p", (1, 1, 1))
    store(tmp_path, entry, labels[..., None] * 100, labels)
    source = Sampler([open_entry(tmp_path, entry)], 60, Shares(0, 0), first=True)
    drawn = [source.draw(np.random.default_rng(seed)) for seed in range(40)]
    whole = [one for one in drawn if one.hidden < 100]
    close = [one for one in drawn if one.target.mean() > 0.9]
    assert whole
    assert close
    for one in close:  # the net sees 24 or 30 of 60 pixels a side
        assert one.hidden + one.target.sum() > 2 * one.target.size


def test_a_run_ends_with_its_judge(tmp_path: Path) -> None:
    y, x = np.ogrid[:60, :60]
    disc = ((y - 30) ** 2 + (x - 28) ** 2 < 120).astype(np.uint8)[None]
    entry = Entry("disc", "one", "p", (1, 1, 1))
    store(tmp_path / "cache", entry, disc[..., None] * 90, disc)
    planes = [open_entry(tmp_path / "cache", entry)]
    plan = recipe(2, looks=8)
    steps = list(fit(plan, planes, [], tmp_path / "run"))
    assert [one for one in steps if isinstance(one, JudgeStep)][-1] == JudgeStep(8, 8)
    again = drain(fit(plan, planes, [], tmp_path / "run"))
    assert again.judge is not None
    assert again.judge.mean.any()


def test_the_scale_that_promises_most_answers() -> None:
    class Judged(ClickNet):
        """Answers all of the window; promises most where the bright square fills it."""

        def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            bright = (x[:, 3] > 0).float().mean((1, 2))
            return torch.full((len(x), *x.shape[2:]), 5.0), torch.logit(bright, 0.01)

    image = np.zeros((96, 96))
    image[36:60, 36:60] = 1
    predictor = ClickPredictor(Judged(in_channels=CHANNELS, **TINY), Manner(size=32))
    predictor.set_image(image)
    found = predictor.predict([(47.5, 47.5, True)])
    np.testing.assert_array_equal(found, image > 0)
