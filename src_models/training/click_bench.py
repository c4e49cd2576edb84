"""How many clicks a predictor needs: one simulated user in front of any of them."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from src_models.data.click_simulation import next_click
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    Mask = npt.NDArray[np.bool_]

CAP = 20
GOALS = (0.85, 0.90)
SHOWN = (1, 3, 5, 10)  # clicks after which the IoU is told


class Predictor(Protocol):
    """What the bench drives."""

    def set_image(self, image: npt.NDArray[Any], /) -> None:
        """Take an image (y, x) or (y, x, channel)."""

    def predict(
        self,
        clicks: list[tuple[int, int, bool]],
        previous_mask: Mask | None,
        /,
    ) -> Mask:
        """The mask (y, x) for all clicks so far; `previous_mask` is the last answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One structure on one image.

    Attributes
    ----------
    image : (y, x) or (y, x, channel)
    truth : (y, x) bool, not empty
    """

    set: str
    case: str
    structure: str
    image: npt.NDArray[Any]
    truth: Mask


@dataclass(frozen=True, slots=True)
class Trial:
    """A target, clicked until the IoU reached the highest goal or `CAP` clicks.

    Attributes
    ----------
    ious : tuple of float
        After each click; the last one stands for those not needed any more.
    prepare_s : float
        Seconds for `set_image`; 0 if the image was there already.
    click_s : tuple of float
        Seconds of each click.
    """

    set: str
    case: str
    structure: str
    ious: tuple[float, ...]
    prepare_s: float
    click_s: tuple[float, ...]

    def clicks_to(self, goal: float) -> int:
        """Clicks until the IoU was at least `goal`; `CAP` if it never was."""
        return next((n for n, iou in enumerate(self.ious, 1) if iou >= goal), CAP)

    def reached(self, goal: float) -> bool:
        return max(self.ious) >= goal

    def iou_after(self, clicks: int) -> float:
        return self.ious[min(clicks, len(self.ious)) - 1]


@dataclass(frozen=True, slots=True)
class Line:
    """A set's means over its targets, or the means of the sets.

    Attributes
    ----------
    clicks : tuple of float
        To each of `GOALS`.
    failures : tuple of float
        Share of targets that did not reach it with `CAP` clicks, in [0, 1].
    ious : tuple of float
        After each of `SHOWN` clicks.
    prepare_s : float
        Longest.
    click_s : (float, float)
        Median and 95th percentile.
    """

    name: str
    targets: int
    clicks: tuple[float, ...]
    failures: tuple[float, ...]
    ious: tuple[float, ...]
    prepare_s: float
    click_s: tuple[float, float]


def load_predictor(name: str) -> Predictor:
    """What the factory ``module:factory`` makes.

    Raises
    ------
    InputError
        If there is no such module or factory.
    """
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise InputError(f"wanted a predictor as module:factory, got {name!r}")
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise InputError(f"no predictor {name!r}: {error}") from None
    return cast("Callable[[], Predictor]", make)()


def bench(
    predictor: Predictor, targets: Iterable[Target]
) -> Generator[Trial, None, list[Line]]:
    """Click on each target; returns a line a set, then the mean of the sets.

    Successive targets on the same image array are prepared once.
    """
    trials: list[Trial] = []
    image: npt.NDArray[Any] | None = None
    for target in targets:
        prepare_s = 0.0
        if target.image is not image:
            began = time.perf_counter()
            predictor.set_image(target.image)
            prepare_s = time.perf_counter() - began
            image = target.image
        trial = _trial(predictor, target, prepare_s)
        trials.append(trial)
        yield trial
    return summary(trials)


def _trial(predictor: Predictor, target: Target, prepare_s: float) -> Trial:
    clicks: list[tuple[int, int, bool]] = []
    mask = np.zeros(target.truth.shape, bool)
    ious, seconds = [], []
    for turn in range(CAP):
        click = next_click(target.truth, mask)
        if click is None:
            break
        clicks.append((int(click.y), int(click.x), click.positive))
        began = time.perf_counter()
        answer = predictor.predict(list(clicks), mask.copy() if turn else None)
        seconds.append(time.perf_counter() - began)
        mask = _checked(answer, target)
        ious.append(iou(target.truth, mask))
        if ious[-1] >= max(GOALS):
            break
    return Trial(
        target.set,
        target.case,
        target.structure,
        tuple(ious),
        prepare_s,
        tuple(seconds),
    )


def _checked(answer: Mask, target: Target) -> Mask:
    """The answer, if it is a mask of the target's image."""
    mask = np.asarray(answer)
    if mask.dtype != np.bool_ or mask.shape != target.truth.shape:
        raise InputError(
            f"wanted a bool mask of {target.truth.shape}, the predictor gave "
            f"{mask.dtype} of {mask.shape}"
        )
    return mask


def iou(truth: Mask, guess: Mask) -> float:
    """|A ∩ B| / |A ∪ B|; 1 if both are empty."""
    either = int((truth | guess).sum())
    return int((truth & guess).sum()) / either if either else 1.0


def summary(trials: Sequence[Trial]) -> list[Line]:
    """A line a set in the order of appearance, then "mean of sets"; empty of nothing."""
    sets: dict[str, list[Trial]] = {}
    for trial in trials:
        sets.setdefault(trial.set, []).append(trial)
    lines = [_line(name, held) for name, held in sets.items()]
    if not lines:
        return []
    seconds = [s for trial in trials for s in trial.click_s]

    def means(rows: list[tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(np.mean(rows, 0).tolist())

    total = Line(
        "mean of sets",
        len(trials),
        means([line.clicks for line in lines]),
        means([line.failures for line in lines]),
        means([line.ious for line in lines]),
        max(line.prepare_s for line in lines),
        _spread(seconds),
    )
    return [*lines, total]


def _line(name: str, trials: Sequence[Trial]) -> Line:
    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    return Line(
        name,
        len(trials),
        tuple(mean(t.clicks_to(goal) for t in trials) for goal in GOALS),
        tuple(mean(not t.reached(goal) for t in trials) for goal in GOALS),
        tuple(mean(t.iou_after(n) for t in trials) for n in SHOWN),
        max(t.prepare_s for t in trials),
        _spread([s for t in trials for s in t.click_s]),
    )


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    median, high = np.percentile(seconds, (50, 95))
    return float(median), float(high)
