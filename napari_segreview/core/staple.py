"""STAPLE: the labels behind those of several readers, each believed as far as it deserves.

References
----------
Warfield, S. K. et al. (2004). IEEE TMI 23(7), 903-921; begun and ended as in ITK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.metrics.boxes import foreground_box, label_boxes, union
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_segreview.core.readers import Labels
    from src_models.metrics.boxes import Box

MARGIN = 2  # voxels round all labels: STAPLE needs some background, not all of it
SURE = 0.5
PRECISION = 1e-7  # of the readers' rates; then they count as found, as in ITK
ROUNDS = 100_000  # at most; noise takes some ten thousand


def staple(maps: Sequence[Labels]) -> Generator[Progress, None, Labels]:
    """The labels that STAPLE finds most likely, each estimated against all others.

    Only the box round all labels is looked at: the estimate of the readers' specificity
    must not hang on how much background a scan has. A voxel that no label has with more
    than even odds is background. All maps empty: empty.

    Parameters
    ----------
    maps : sequence of unsigned integer arrays, same shape
        One a reader, at most 62.
    """
    found = np.zeros(maps[0].shape, np.result_type(*maps))
    whole = _box_of_all(maps)
    inner = found[whole]  # what is written there is written into `found`
    best = np.full(inner.shape, SURE, np.float32)
    cut = [one[whole] for one in maps]
    boxes = [label_boxes(one) for one in cut]
    values = sorted(set().union(*boxes))
    for at, value in enumerate(values):
        yield Progress(at, len(values), "STAPLE")
        box = union(*(one[value] for one in boxes if value in one))
        odds, elsewhere = _odds([one[box] == value for one in cut], inner.size)
        if elsewhere > SURE:  # even where nobody drew it
            box = tuple(slice(None) for _ in inner.shape)
            odds, _ = _odds([one == value for one in cut], inner.size)
        better = odds > best[box]
        inner[box][better] = value
        best[box][better] = odds[better]
    return found


def _box_of_all(maps: Sequence[Labels]) -> Box:
    """Round all labels, with a margin; empty without any."""
    shape = maps[0].shape
    box = foreground_box(np.logical_or.reduce([one > 0 for one in maps]))
    if box is None:
        return tuple(slice(0, 0) for _ in shape)
    return tuple(
        slice(max(0, side.start - MARGIN), min(length, side.stop + MARGIN))
        for side, length in zip(box, shape, strict=True)
    )


def _odds(
    masks: Sequence[npt.NDArray[np.bool_]], voxels: int
) -> tuple[npt.NDArray[np.float64], float]:
    """How likely each voxel belongs to the structure, and any of those outside.

    Voxels on which the readers decide alike are alike: it is enough to count them.

    Parameters
    ----------
    masks : sequence of bool arrays, same shape
        All that the readers drew, in a box.
    voxels : int
        Of the whole that the box is part of.
    """
    votes = np.zeros(masks[0].shape, np.min_scalar_type(2 ** len(masks) - 1))
    for bit, mask in enumerate(masks):
        votes |= mask.astype(votes.dtype) << votes.dtype.type(bit)
    kinds, places, counts = np.unique(
        np.append(votes, 0).astype(votes.dtype),  # so that "nobody" is always there
        return_inverse=True,
        return_counts=True,
    )
    counts[0] += voxels - votes.size - 1
    drawn = kinds[:, None] >> np.arange(len(masks), dtype=votes.dtype) & 1
    odds = likelihood(drawn.astype(bool), counts)
    return odds[places[:-1]].reshape(votes.shape), float(odds[0])


def likelihood(
    drawn: npt.NDArray[np.bool_], counts: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Expectation maximisation of who is right how often, over kinds of voxels.

    Parameters
    ----------
    drawn : bool array (kinds, readers)
        Which readers drew the structure in voxels of this kind.
    counts : array (kinds,)
        Voxels of each kind.

    Returns
    -------
    array (kinds,)
        In [0, 1]: how likely such a voxel belongs to it. Where the readers' rates
        exclude both, that is even.
    """
    odds: npt.NDArray[np.float64] = drawn.mean(1)
    share = np.average(odds, weights=counts)
    rates = np.full((2, drawn.shape[1]), -1.0)
    for _ in range(ROUNDS):
        before = rates
        rates = np.stack(
            [
                _rate(counts * odds, drawn),  # sensitivity of each reader
                _rate(counts * (1 - odds), ~drawn),  # specificity
            ]
        )
        inside = share * np.where(drawn, rates[0], 1 - rates[0]).prod(1)
        outside = (1 - share) * np.where(drawn, 1 - rates[1], rates[1]).prod(1)
        both = inside + outside
        odds = np.divide(inside, both, out=np.full_like(both, 0.5), where=both > 0)
        if (np.abs(rates - before) <= PRECISION).all():
            break
    return odds


def _rate(weights: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The share of the weights where each reader is right; 1 of nothing."""
    total = weights.sum()
    rate: npt.NDArray[Any] = (
        weights @ right / total if total else np.ones(right.shape[1])
    )
    return rate
