"""How many clicks a predictor of volumes needs: the bench of pictures, in 3D."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from src_models.data.click_simulation import next_place
from src_models.data.click_volumes import DEEP
from src_models.interactive.volume_maps import Spot
from src_models.training.click_bench import CAP, GOALS, Trial, iou, summary
from src_models.training.click_bench_targets import in_turn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from src_models.data.click_cache import Planes
    from src_models.interactive.volume import VolumePredictor
    from src_models.training.click_bench import Line

    Mask = npt.NDArray[np.bool_]

SMALLEST = 60  # voxels of a structure worth clicking on


@dataclass(frozen=True, slots=True, eq=False)
class VolumeTarget:
    """One structure of one scan, not empty; arrays (z, y, x), spacing in mm."""

    set: str
    case: str
    structure: str
    volume: npt.NDArray[Any]
    spacing: tuple[float, float, float]
    truth: Mask


def volume_targets(planes: Sequence[Planes], most: int) -> Iterator[VolumeTarget]:
    """Up to `most` structures of each set, as for pictures: the largest part of each."""
    sets: dict[str, list[Planes]] = {}
    for one in planes:
        if len(one.labels) >= DEEP:
            sets.setdefault(one.entry.set, []).append(one)
    for held in sets.values():
        yield from islice(in_turn([_of_scan(one) for one in held]), most)


def _of_scan(planes: Planes) -> Iterator[VolumeTarget]:
    labels = np.asarray(planes.labels)
    volume = np.asarray(planes.image).mean(-1, dtype=np.float32)
    for value in np.unique(labels[labels > 0]).tolist():
        parts, count = ndimage.label(labels == value, np.ones((3, 3, 3), int))
        if not count:
            continue
        sizes = np.bincount(parts.ravel())[1:]
        truth = parts == 1 + int(sizes.argmax())
        if truth.sum() >= SMALLEST:
            entry = planes.entry
            where = f"label {value}"
            yield VolumeTarget(
                entry.set, entry.name, where, volume, entry.spacing, truth
            )


def bench_volumes(
    predictor: VolumePredictor, targets: Iterable[VolumeTarget]
) -> Generator[Trial, None, list[Line]]:
    """Click on each target; returns a line a set, then the mean of the sets."""
    trials: list[Trial] = []
    for target in targets:
        began = time.perf_counter()
        predictor.set_volume(target.volume, target.spacing)
        trial = _trial(predictor, target, time.perf_counter() - began)
        trials.append(trial)
        yield trial
    return summary(trials)


def _trial(predictor: VolumePredictor, target: VolumeTarget, prepare_s: float) -> Trial:
    spots: list[Spot] = []
    mask = np.zeros(target.truth.shape, bool)
    ious, seconds = [], []
    while len(spots) < CAP and (found := next_place(target.truth, mask)):
        (z, y, x), positive = found
        spots.append(Spot((z, y, x), positive))
        began = time.perf_counter()
        mask = predictor.answer(spots, mask)
        seconds.append(time.perf_counter() - began)
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
