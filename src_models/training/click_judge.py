"""What a click net learns last: how good its first answers are, at all scales.

The net itself stands still by then. Simulated users click on structures of the training
patients; the net answers at all scales, and the judge learns which IoU each answer reached.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.data.click_samples import Sampler, Shares
from src_models.data.click_simulation import next_place
from src_models.data.click_volumes import VolumeSampler
from src_models.data.loader import ahead
from src_models.interactive.choice import Answer, judged_by
from src_models.interactive.predictor import ClickPredictor, Manner
from src_models.interactive.prompt_maps import Click
from src_models.interactive.volume import VolumeManner, VolumePredictor
from src_models.interactive.volume_maps import Spot
from src_models.training.click_bench import iou
from src_models.training.click_users import CLOSE

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from src_models.data.click_cache import Planes
    from src_models.interactive.looks import Look
    from src_models.interactive.net import ClickNet, Judge
    from src_models.interactive.volume_looks import VolumeLook
    from src_models.training.click_config import ClickRecipe

    Mask = npt.NDArray[np.bool_]

SMALLEST = 20  # pixels or voxels of a structure worth clicking on
KEPT_BACK = 0.15  # share of the clicks that say when to stop
EPOCHS = 60
PATIENCE = 8  # epochs without a gain on what was kept back
BATCH = 128
RATE = 3e-3
WIDTH = 0.25  # of a bump at first, in deviations a fact


@dataclass(frozen=True, slots=True)
class JudgeStep:
    """Clicks that the judge has seen answered so far."""

    number: int
    of: int


def teach_judge(
    recipe: ClickRecipe, net: ClickNet, train: Sequence[Planes]
) -> Generator[JudgeStep, None, None]:
    """Give the net's judge its weights; nothing if it has none."""
    if net.judge is None:
        return
    clicks = (PictureClicks if net.ndim == 2 else VolumeClicks)(recipe, net, train)
    numbers, seed = range(1, recipe.train.judged + 1), recipe.train.seed

    def draw(number: int) -> tuple[Any, Mask]:
        return clicks.draw(np.random.default_rng([seed, number, 2]))

    facts, reached = [], []
    for number, (shown, truth) in zip(
        numbers, ahead(draw, numbers, workers=1), strict=True
    ):
        random = np.random.default_rng([seed, number, 3])
        if truth.sum() >= SMALLEST:
            one, ious = first_answers(clicks, shown, truth, random)
            facts.append(one)
            reached.append(ious)
        yield JudgeStep(number, len(numbers))
    if facts:
        fit_judge(net.judge, facts, reached, seed)


class Clicks(Protocol):
    """Structures of the training patients, and the net's answers to a click on one."""

    def draw(self, random: np.random.Generator, /) -> tuple[Any, Mask]:
        """What is shown, and the structure in it."""
        ...

    def looks(self, shown: Any, place: tuple[int, ...], /) -> Sequence[Shown]:
        """Answers at all scales to a click on a place of it."""
        ...


class Shown(Answer, Protocol):
    """An answer on the pixels or voxels of what is shown."""

    def mask(self) -> Mask: ...


class PictureClicks:
    """Slices and pictures."""

    def __init__(
        self, recipe: ClickRecipe, net: ClickNet, train: Sequence[Planes]
    ) -> None:
        self._sampler = Sampler(train, recipe.samples.size, Shares(0, 0))
        manner = Manner(half=recipe.train.precision == "bf16")
        self._predictor = ClickPredictor(net, manner)

    def draw(self, random: np.random.Generator) -> tuple[npt.NDArray[Any], Mask]:
        """Image (y, x, c) and structure (y, x)."""
        return self._sampler.structure(random)

    def looks(self, image: npt.NDArray[Any], place: tuple[int, ...]) -> list[Look]:
        """Through windows round (y, x)."""
        self._predictor.set_image(image)
        y, x = place
        return self._predictor.first_looks([Click(y, x)])


class VolumeClicks:
    """Whole scans."""

    def __init__(
        self, recipe: ClickRecipe, net: ClickNet, train: Sequence[Planes]
    ) -> None:
        self._sampler = VolumeSampler(train, recipe.samples.size, Shares(0, 0))
        manner = VolumeManner(half=recipe.train.precision == "bf16")
        self._predictor = VolumePredictor(net, manner)

    def draw(self, random: np.random.Generator) -> tuple[Planes, Mask]:
        """Scan and structure (z, y, x)."""
        return self._sampler.structure(random)

    def looks(self, scan: Planes, place: tuple[int, ...]) -> list[VolumeLook]:
        """Through cubes round (z, y, x)."""
        self._predictor.set_volume(np.asarray(scan.image), scan.entry.spacing)
        z, y, x = place
        return self._predictor.first_looks([Spot((z, y, x))])


def first_answers(
    clicks: Clicks, shown: Any, truth: Mask, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Facts of the answers to a click at all scales, (K, F), and the IoU reached, (K).

    The structure is not empty.
    """
    share = float(random.choice(CLOSE))
    found = next_place(truth, np.zeros_like(truth), random, share=share)
    assert found is not None  # a structure is missing everywhere at first
    looks = clicks.looks(shown, found[0])
    ious = [iou(truth, one.mask()) for one in looks]
    return judged_by(looks).clone(), torch.tensor(ious)


def fit_judge(
    judge: Judge, facts: Sequence[Tensor], reached: Sequence[Tensor], seed: int
) -> float:
    """Learn the IoU reached; returns the mean error on the clicks kept back.

    From the beginning, whatever it knew. Cross-entropy; the weights of the best epoch on
    what was kept back stay.

    Parameters
    ----------
    facts, reached : sequences of (K, F) and (K)
        Of each click, at its K scales.
    """
    device = next(judge.parameters()).device
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    judge.requires_grad_(True)
    order = torch.randperm(len(facts), generator=random).tolist()
    count = max(1, int(KEPT_BACK * len(order)))

    def joined(picks: list[int]) -> tuple[Tensor, Tensor]:
        pairs = [(facts[i], reached[i]) for i in picks]
        x, y = (torch.cat(each).float().to(device) for each in zip(*pairs, strict=True))
        return x, y

    x_back, y_back = joined(order[:count])
    x, y = joined(order[count:] or order)
    judge.mean.copy_(x.mean(0))
    judge.std.copy_(x.std(0, correction=0).clamp(min=1e-3))
    _afresh(judge, x[torch.randint(len(x), (len(judge.centres),), generator=random)])
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=1e-4)
    best, waited, kept = float("inf"), 0, deepcopy(judge.state_dict())
    for _ in range(EPOCHS):
        shuffled = torch.randperm(len(x), generator=random)
        for batch in torch.split(shuffled, BATCH):
            loss = F.binary_cross_entropy_with_logits(judge(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            now = float(F.binary_cross_entropy_with_logits(judge(x_back), y_back))
        waited = 0 if now < best else waited + 1
        if now < best:
            best, kept = now, deepcopy(judge.state_dict())
        if waited == PATIENCE:
            break
    judge.load_state_dict(kept)
    judge.requires_grad_(False)
    with torch.no_grad():
        return float((judge(x_back).sigmoid() - y_back).abs().mean())


def _afresh(judge: Judge, some: Tensor) -> None:
    """Flat but for its line, with bumps at `some` of the facts, (bumps, F)."""
    with torch.no_grad():
        judge.line.reset_parameters()
        judge.centres.copy_(judge.standard(some))
        judge.log_widths.fill_(math.log(WIDTH))
        nn.init.zeros_(judge.heights.weight)
        nn.init.zeros_(judge.heights.bias)
