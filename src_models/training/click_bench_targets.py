"""Which structures the bench clicks on: chosen by a rule, never by how they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src_models.data.click_simulation import largest
from src_models.data.click_targets import parts_of
from src_models.training.click_bench import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from src_models.data.click_cache import Planes

SMALLEST = 30  # pixels of a structure worth clicking on


def scored_targets(planes: Sequence[Planes], most: int) -> Iterator[Target]:
    """Up to `most` targets of each set, its cases in turn.

    Of a kind of structure: the first slice of the stack where it is largest, all of it
    there and, if it is in several pieces, the largest. Of instances: in each picture the
    one of median size, then the largest.
    """
    sets: dict[str, list[Planes]] = {}
    for one in planes:
        sets.setdefault(one.entry.set, []).append(one)
    for held in sets.values():
        queues = [_of_case(one) for one in held]
        given = 0
        while queues and given < most:
            for queue in list(queues):
                target = next(queue, None)
                if target is None:
                    queues.remove(queue)
                elif given < most:
                    given += 1
                    yield target


def _of_case(planes: Planes) -> Iterator[Target]:
    name = planes.entry.name
    if planes.entry.instances:
        image, labels = planes.picture(0, 0)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        order = sizes.argsort()[::-1]
        order = order[sizes[order] >= SMALLEST]
        for word, pick in (("median", len(order) // 2), ("largest", 0)):
            if len(order):
                truth = labels == order[pick]
                yield Target(planes.entry.set, name, f"{word} instance", image, truth)
        return
    stack = np.asarray(planes.labels)
    for value in np.unique(stack[stack > 0]).tolist():
        at = int((stack == value).sum((1, 2)).argmax())
        image, labels = planes.picture(0, at)
        truth = labels == value
        if truth.sum() < SMALLEST:
            continue
        where = f"label {value}, slice {at}"
        yield Target(planes.entry.set, name, where, image, truth)
        if parts_of(truth)[1] > 1:
            part = largest(truth)
            yield Target(planes.entry.set, name, f"{where}, largest part", image, part)
