"""Which structures the bench clicks on: chosen by a rule, never by how they go."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from src_models.data.click_simulation import largest
from src_models.data.click_targets import parts_of
from src_models.training.click_bench import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from src_models.data.click_cache import Planes

T = TypeVar("T")

SMALLEST = 30  # pixels of a structure worth clicking on
RANKS = (0.5, 0, 0.25, 0.75)  # of the instances of a picture, the largest first


def scored_targets(planes: Sequence[Planes], most: int) -> Iterator[Target]:
    """Up to `most` targets of each set: its cases in turn, each with its next kind.

    Of a kind of structure: the first slice of the stack where it is largest, all of it
    there and, if it is in several pieces, the largest. Of instances: in each picture the
    one of median size, the largest, and those of the quartiles. The first case begins
    with its first kind, the second with its second one …, so that few targets of many
    cases are of all kinds.
    """
    sets: dict[str, list[Planes]] = {}
    for one in planes:
        sets.setdefault(one.entry.set, []).append(one)
    for held in sets.values():
        yield from islice(in_turn([_of_case(one) for one in held]), most)


def in_turn(cases: Sequence[Iterable[T]]) -> Iterator[T]:
    """One kind of each case, then the next of each: the n-th case begins with its n-th."""
    queues: list[deque[T]] = []
    for number, kinds in enumerate(cases):
        queue = deque(kinds)
        queue.rotate(-number)
        queues.append(queue)
        if queue:
            yield queue.popleft()
    while any(queues):
        yield from (queue.popleft() for queue in queues if queue)


def _of_case(planes: Planes) -> Iterator[Target]:
    name = planes.entry.name
    if planes.entry.instances:
        image, labels = planes.picture(0, 0)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        order = (-sizes).argsort(kind="stable")
        order = order[: int((sizes >= SMALLEST).sum())]
        for pick in dict.fromkeys(int(share * len(order)) for share in RANKS):
            if len(order):
                truth = labels == order[pick]
                where = f"object {pick + 1} of {len(order)} by size"
                yield Target(planes.entry.set, name, where, image, truth)
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
