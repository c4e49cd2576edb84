"""Parts of corrected cases that are kept from training, to see whether it helps.

A voxel's neighbours are almost its copies: so what is kept back is whole patients where
there are enough, and else a block of neighbouring planes, never scattered voxels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.cases import Case

UNKNOWN = -1
GROUPS = 3  # from which on a whole one is kept back
SHARE = 0.2
BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """Cases to learn from, and to measure on; no voxel is known in both."""

    train: tuple[Case, ...]
    held: tuple[Case, ...]


def hold_out(cases: Sequence[Case]) -> Fold:
    """Keep back a fifth of the groups, or of the planes if there are fewer than three.

    The same cases give the same parts. If nothing can be kept back (a single voxel of a
    structure), the training parts are measured on.
    """
    groups = sorted(
        {case.group for case in cases if (case.labels > 0).any()}, key=_hash
    )
    if len(groups) >= GROUPS:
        kept = set(groups[: max(1, round(SHARE * len(groups)))])
        return Fold(
            tuple(case for case in cases if case.group not in kept),
            tuple(case for case in cases if case.group in kept),
        )
    made = folds(cases, BLOCKS)
    return made[-1] if made else Fold(tuple(cases), tuple(cases))


def folds(cases: Sequence[Case], count: int) -> tuple[Fold, ...]:
    """Each known plane is held in one fold; the planes of a fold lie side by side.

    Fewer than `count` if no case has so many planes with a structure; none if no case
    has two.
    """
    cuts = [(case, *_blocks(case.labels, count)) for case in cases]
    number = max((len(blocks) for _, _, blocks in cuts), default=0)
    if number < 2:
        return ()
    return tuple(
        Fold(
            tuple(_without(*cut, at) for cut in cuts),
            tuple(_only(*cut, at) for cut in cuts if at < len(cut[2])),
        )
        for at in range(number)
    )


Planes = npt.NDArray[np.intp]


def _blocks(labels: npt.NDArray[Any], count: int) -> tuple[int, list[Planes]]:
    """An axis, and runs of planes along it that share the structures out.

    The axis along which structures are known in the fewest planes, two at least: that
    of the slices that were checked. Planes before the first and after the last run
    belong to that run.
    """
    found = labels > 0
    others = [
        tuple(a for a in range(labels.ndim) if a != axis) for axis in range(labels.ndim)
    ]
    along = [np.flatnonzero(found.any(axis=rest)) for rest in others]
    many = [axis for axis, planes in enumerate(along) if len(planes) > 1]
    if not many:
        return 0, []
    axis = min(many, key=lambda one: len(along[one]))
    runs = np.array_split(along[axis], min(count, len(along[axis])))
    edges = [0, *(int(run[0]) for run in runs[1:]), labels.shape[axis]]
    return axis, [np.arange(low, high) for low, high in pairwise(edges)]


def _without(case: Case, axis: int, blocks: list[Planes], at: int) -> Case:
    """The case with one block unknown; as it is if it has no such block."""
    if at >= len(blocks):
        return case
    labels = case.labels.astype(np.int16)
    labels[_planes(labels.ndim, axis, blocks[at])] = UNKNOWN
    return replace(case, labels=labels)


def _only(case: Case, axis: int, blocks: list[Planes], at: int) -> Case:
    """The case with all but one block unknown."""
    labels = np.full(case.labels.shape, UNKNOWN, np.int16)
    chosen = _planes(labels.ndim, axis, blocks[at])
    labels[chosen] = case.labels[chosen]
    return replace(case, labels=labels)


def _planes(ndim: int, axis: int, planes: Planes) -> tuple[slice | Planes, ...]:
    chosen: list[slice | Planes] = [slice(None)] * ndim
    chosen[axis] = planes
    return tuple(chosen)


def _hash(group: str) -> str:
    """An order that has nothing to do with the names."""
    return hashlib.sha256(group.encode()).hexdigest()
