"""Go on training a model on what a person has corrected.

Only voxels that were checked teach: all others are `IGNORE`, and no term of the loss sees
them. The layers nearest the answer move first, then all, at a small rate; earlier cases
are shown again so that they are not forgotten, and there the answer is also held to that
of the model before, where that is right (`distil`). Part of the corrections is kept back
to measure, and the weights that did best on it are what is returned.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from src_models.data.augment import augmentation
from src_models.data.cases import check_cases, prepare
from src_models.data.held import Fold, hold_out
from src_models.data.loader import BatchMaker, Share
from src_models.data.options import Augment
from src_models.data.patches import PatchSampler
from src_models.errors import InputError
from src_models.inference.predict import computes_half
from src_models.losses import IGNORE, loss_by_name
from src_models.outputs import answer, judge
from src_models.progress import Curve, Point, Progress
from src_models.training.distil import distil
from src_models.training.held_dice import guess, pooled_dice
from src_models.training.late import late_parameters
from src_models.training.parts import average_into

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from torch import Tensor, nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case
    from src_models.data.loader import Batch
    from src_models.losses import Loss

ENDLESS = 10**9
FOREGROUND = 0.7  # share of patches round a structure
HELD_PATCHES = 8
MEASURING = 0.2  # of the time, but for the first and the last measurement
WARMUP = 10  # steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How long and how.

    Attributes
    ----------
    budget_seconds : float
        By the wall clock; not looked at if `steps` is given.
    steps : int, optional
        So many steps instead; the same seed then gives the same weights.
    loss : str
        An expression of `src_models.losses`.
    replay : float
        Share of patches from earlier cases, if there are any; in [0, 1).
    remember : float
        What the distance from the model before weighs on them, beside the loss.
    learning_rate : float
        Of AdamW, at its highest.
    light : float
        Share of the budget in which only the late layers move; in [0, 1].
    ema : float
        Decay of the averaged weights, which are the result.
    checks : int
        How often the held parts are measured; with a budget in seconds less often where
        that would take more than a fifth of them.
    """

    budget_seconds: float = 180.0
    steps: int | None = None
    loss: str = "dice + ce"
    replay: float = 0.5
    remember: float = 1.0
    learning_rate: float = 5e-4
    light: float = 0.15
    ema: float = 0.98
    checks: int = 12
    batch: int = 2
    seed: int = 0
    device: str = "cpu"


def finetune(
    card: TrainedCard,
    net: nn.Module,
    cases: Sequence[Case],
    tuning: Tuning | None = None,
    *,
    replay: Sequence[Case] = (),
    fold: Fold | None = None,
    before: nn.Module | None = None,
) -> Generator[Progress | Curve, None, nn.Module]:
    """Train `net` on; it is changed in place, and returned.

    However the generator ends, by its budget, by being closed or by an error, `net` then
    holds the best weights so far: those it came with, until others do better on the
    parts that were kept back.

    Parameters
    ----------
    cases : sequence of Case
        Corrected ones; labels −1 where nothing was checked.
    replay : sequence of Case
        Earlier ones, against forgetting. Background of a `blank` one teaches only that
        it is none of what the model before knows.
    fold : Fold, optional
        What to learn from and what to measure on; `hold_out` of the cases without.
    before : nn.Module, optional
        The model that is to be remembered on `replay`; `net` as it comes without. It may
        know fewer classes.

    Raises
    ------
    InputError
        If nothing was checked, no structure or nothing else is among it, cases or loss
        do not fit the model, or the loss is not a number.
    """
    tuning, spec = tuning or Tuning(), card.net
    _check(card, cases, replay, tuning)
    fold = fold or hold_out(cases)
    loss = loss_by_name(tuning.loss)
    loss.check(spec.classes)
    clock = _Clock(tuning)
    yield Progress(0, 0, "preparing the checked parts")
    torch.manual_seed(tuning.seed)
    desk = _desk(card, net, before or net, fold, replay, loss, clock)
    best, points = -1.0, list[Point]()
    kept = {name: one.clone() for name, one in net.state_dict().items()}
    try:
        for step, mean in _steps(desk, loss, tuning):
            yield desk.clock.progress(step)
            if mean is None:
                continue
            points.append(Point(step, mean, (yield from _measured(desk, step))))
            if points[-1].dice > best:
                best = points[-1].dice
                kept = {
                    name: one.clone() for name, one in desk.ema.state_dict().items()
                }
            done = desk.clock.progress(step)
            yield Curve(done.done, done.total, done.note, tuple(points), best)
    finally:
        net.load_state_dict(kept)
        net.eval()
    return net


def _check(
    card: TrainedCard, cases: Sequence[Case], replay: Sequence[Case], tuning: Tuning
) -> None:
    if not any((case.labels != IGNORE).any() for case in cases):
        raise InputError(
            "nothing was checked yet, so there is nothing to learn; mark the slices "
            "that you have corrected"
        )
    check_cases((*cases, *replay), card.net)
    drawn = {int(value) for case in cases for value in np.unique(case.labels)}
    if not any(value > 0 for value in drawn):
        raise InputError(
            "no structure is drawn in what was checked, so there is nothing to learn; "
            "mark slices that hold one"
        )
    shown = {int(value) for case in replay for value in np.unique(case.labels)}
    if len((drawn | shown) - {IGNORE}) < 2:
        raise InputError(
            f"all that was checked is label {max(drawn)}, so the model would learn to "
            "call everything that; check background round it too"
        )
    if tuning.steps is None and tuning.budget_seconds <= 0:
        raise InputError(f"a budget above 0 s is needed, got {tuning.budget_seconds} s")


@dataclass(slots=True)
class _Clock:
    """How much of the budget is used: of the steps, or of the wall clock."""

    tuning: Tuning
    began: float = field(default_factory=lambda: time.monotonic())
    last: float = 0.0  # seconds of the latest measurement
    measuring: float = 0.0  # seconds of all

    def along(self, step: int) -> float:
        """In [0, 1]; the measurement at the end is part of the budget."""
        if self.tuning.steps is not None:
            return min(1.0, step / max(1, self.tuning.steps))
        used = time.monotonic() - self.began + self.last
        return min(1.0, used / self.tuning.budget_seconds)

    def may_measure(self) -> bool:
        """Whether measuring leaves most of the time to learning."""
        used = time.monotonic() - self.began
        return self.tuning.steps is not None or self.measuring <= MEASURING * used

    def measured(self, seconds: float) -> None:
        self.last = seconds
        self.measuring += seconds

    def progress(self, step: int) -> Progress:
        return Progress(round(1000 * self.along(step)), 1000, f"step {step}")


class _Whose(NamedTuple):
    """(B,) each: which samples are of cases shown again, which of blank ones."""

    old: Tensor
    blank: Tensor


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the steps work with."""

    net: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer  # its first group: the late layers
    maker: BatchMaker
    held: tuple[tuple[Tensor, Tensor], ...]
    clock: _Clock
    old: frozenset[Case]  # of the cases, those that are shown again
    before: nn.Module


def _desk(
    card: TrainedCard,
    net: nn.Module,
    before: nn.Module,
    fold: Fold,
    replay: Sequence[Case],
    loss: Loss,
    clock: _Clock,
) -> _Desk:
    tuning = clock.tuning
    ready = partial(prepare, intensity=card.intensity, spacing=card.spacing)
    fresh = [ready(case) for case in fold.train if (case.labels != IGNORE).any()]
    old = [ready(case) for case in replay if (case.labels != IGNORE).any()]
    share = tuning.replay if old else 0.0
    chances = [(1 - share) / len(fresh)] * len(fresh) + [
        share / max(1, len(old))
    ] * len(old)
    sampler = PatchSampler(
        [*fresh, *old], card.patch, FOREGROUND, chances=chances, known=True
    )
    kinds = card.recipe.get("augment") or {"mirror_axes": card.mirror_axes}
    maker = BatchMaker(
        sampler=sampler,
        augment=augmentation(
            Augment.model_validate(kinds), card.net.ndim, frames=card.net.frames
        ),
        share=Share(batch=tuning.batch),
        seed=tuning.seed,
        classes=card.net.classes,
        maps=loss.maps,
    )
    held = PatchSampler(
        [ready(case) for case in fold.held], card.patch, FOREGROUND, known=True
    )
    random = np.random.default_rng([tuning.seed, 1])
    drawn = [held.draw(random) for _ in range(HELD_PATCHES)]
    learning = deepcopy(net).to(tuning.device)
    return _Desk(
        net=learning,
        ema=deepcopy(learning).requires_grad_(False).eval(),
        before=deepcopy(before).to(tuning.device).requires_grad_(False).eval(),
        optimizer=_optimizer(learning, card, tuning),
        maker=maker,
        held=tuple(
            (torch.from_numpy(image)[None], torch.from_numpy(labels.astype(np.int64)))
            for image, labels in drawn
        ),
        clock=clock,
        old=frozenset(old),
    )


def _optimizer(
    net: nn.Module, card: TrainedCard, tuning: Tuning
) -> torch.optim.Optimizer:
    late = late_parameters(net, card)
    named = dict(net.named_parameters())
    groups = [
        {"params": [one for name, one in named.items() if name in late]},
        {"params": [one for name, one in named.items() if name not in late]},
    ]
    return torch.optim.AdamW(groups, lr=tuning.learning_rate, weight_decay=1e-4)


def _steps(
    desk: _Desk, loss: Loss, tuning: Tuning
) -> Iterator[tuple[int, float | None]]:
    """(step, mean loss since the last check, None between checks); 0 is before any."""
    yield 0, math.nan
    losses: list[float] = []
    checked, step = 0, 0
    keys = range(1, 2), tuning.steps or ENDLESS
    with closing(desk.maker.batches(*keys, workers=1)) as batches:
        for key, batch in zip(desk.maker.share.keys(*keys), batches, strict=False):
            step = key.step
            drawn = desk.maker.drawn(key)
            whose = _Whose(
                torch.tensor([case in desk.old for case in drawn]),
                torch.tensor([case.blank for case in drawn]),
            )
            losses.append(_learn(desk, batch, whose, loss, tuning, step))
            along = desk.clock.along(step)
            due = int(along * tuning.checks) > checked and desk.clock.may_measure()
            due = due or along >= 1
            yield step, float(np.mean(losses)) if due else None
            if along >= 1:
                return
            if due:
                checked, losses = int(along * tuning.checks), []


def _measured(desk: _Desk, step: int) -> Generator[Progress, None, float]:
    """The Dice on the held patches; it can be stopped between two of them."""
    began, guesses = time.monotonic(), list[torch.Tensor]()
    for image, _ in desk.held:
        guesses.append(guess(desk.ema, image))
        yield desk.clock.progress(step)
    desk.clock.measured(time.monotonic() - began)
    return pooled_dice(guesses, [labels for _, labels in desk.held])


def _learn(
    desk: _Desk, batch: Batch, whose: _Whose, loss: Loss, tuning: Tuning, step: int
) -> float:
    """One step; its loss."""
    along = desk.clock.along(step - 1)
    rate = tuning.learning_rate * min(1.0, step / WARMUP)
    rate *= max(0.02, 0.5 * (1 + math.cos(math.pi * along)))
    late, early = desk.optimizer.param_groups
    late["lr"], early["lr"] = rate, rate if along >= tuning.light else 0.0
    desk.net.train()
    half = computes_half(tuning.device.partition(":")[0])
    value, sound = _gradient(desk, batch, whose, loss, tuning, half=half)
    if half and not sound:  # rounding: over few voxels a norm divides by almost nothing
        value, sound = _gradient(desk, batch, whose, loss, tuning, half=False)
    if not sound:
        raise InputError(
            f"the loss is not a number at step {step}; the best weights so far are "
            "kept. Choose another loss or look at the image's grey values"
        )
    desk.optimizer.step()
    average_into(desk.ema, desk.net, min(tuning.ema, (1 + step) / (10 + step)))
    return value


def _gradient(
    desk: _Desk,
    batch: Batch,
    whose: _Whose,
    loss: Loss,
    tuning: Tuning,
    *,
    half: bool,
) -> tuple[float, bool]:
    """The loss, its clipped gradient in the net; whether both are numbers."""
    device, old = tuning.device, whose.old
    images, labels = batch.images.to(device), batch.labels.to(device)
    maps = {name: one.to(device) for name, one in batch.maps.items()}
    desk.optimizer.zero_grad(set_to_none=True)
    remember = tuning.remember > 0 and bool(old.any())
    with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=half):
        said = desk.net(images)
        earlier = _earlier(desk.before, images[old]) if remember else None
    blank = whose.blank.to(device).reshape(-1, *[1] * (labels.ndim - 1))
    known = labels.masked_fill(blank & (labels == 0), IGNORE)
    found = judge(loss, said, known, maps)
    if earlier is not None:
        share = old.float().mean().item()
        apart = distil(answer(said)[old], earlier, labels[old])
        found = found + tuning.remember * share * apart
    if found.requires_grad:
        found.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(desk.net.parameters(), 1.0)
    value = float(found.detach())
    return value, math.isfinite(value) and bool(norm.isfinite())


@torch.no_grad()
def _earlier(before: nn.Module, images: Tensor) -> Tensor:
    said: Tensor = before(images)
    return said
