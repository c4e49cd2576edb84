"""How well single objects (lesions, nuclei) are found, one by one.

House rule, as for masks: no object on either side → 1; objects on one side only → 0.

References
----------
Kirillov, A. et al. (2019). Panoptic segmentation. CVPR, section 4 (PQ = SQ × RQ).
https://arxiv.org/abs/1801.00868
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError
from src_models.metrics.boxes import foreground_box
from src_models.metrics.checks import Labels, Mask, checked_labels

Rule = Literal["iou", "centre"]


@dataclass(frozen=True, slots=True)
class Match:
    """A predicted and a reference object that are the same one, and their IoU."""

    prediction: int
    reference: int
    iou: float


@dataclass(frozen=True, slots=True)
class Detection:
    """Which objects were found.

    Attributes
    ----------
    matches : tuple of Match
        By rising reference value; each object is in at most one.
    missed, false : tuple of int
        Reference values that nothing matches; predicted values that match nothing.
    """

    matches: tuple[Match, ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]

    @property
    def sensitivity(self) -> float:
        """Share of the reference objects that were found."""
        return self._share(len(self.missed))

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are there."""
        return self._share(len(self.false))

    @property
    def recognition(self) -> float:
        """F1 of the objects, the RQ of panoptic quality: TP / (TP + FP/2 + FN/2)."""
        return self._share((len(self.missed) + len(self.false)) / 2)

    @property
    def quality(self) -> float:
        """Mean IoU of the matches, the SQ of panoptic quality."""
        if not self.matches:
            return float(not self.missed and not self.false)
        return float(np.mean([match.iou for match in self.matches]))

    @property
    def panoptic(self) -> float:
        """SQ × RQ, in [0, 1]; PQ as published for rule "iou" with threshold .5."""
        return self.quality * self.recognition

    def _share(self, wrong: float) -> float:
        found = len(self.matches)
        if found:
            return found / (found + wrong)
        return float(not self.missed and not self.false)


def objects(mask: Mask) -> Labels:
    """Number the connected objects of a mask, 1 … n; voxels that touch at all belong."""
    from scipy import ndimage

    around = np.ones((3,) * mask.ndim, bool)
    numbered: Labels = ndimage.label(mask, around)[0]
    return numbered


def detect(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    rule: Rule = "iou",
    threshold: float = 0.5,
) -> Detection:
    """Match objects one to one.

    Parameters
    ----------
    prediction, reference : integer array, same shape
        A value an object, 0 is background.
    rule : {"iou", "centre"}
        "iou": pairs whose IoU exceeds `threshold`, so chosen that their sum is largest.
        "centre": pairs where the reference holds the voxel nearest to the middle of
        the predicted object; of several the one with the larger IoU.
    threshold : float
        In [0, 1), for rule "iou".

    Raises
    ------
    InputError
        If shapes differ, values are not whole numbers ≥ 0, or the threshold is outside.
    """
    if not 0 <= threshold < 1:
        raise InputError(f"a threshold in [0, 1) is wanted, got {threshold:g}")
    mine = checked_labels(np.asarray(prediction), "prediction")
    theirs = checked_labels(np.asarray(reference), "reference")
    if mine.shape != theirs.shape:
        raise InputError(
            f"prediction and reference must have one shape, got {mine.shape} and "
            f"{theirs.shape}; bring one onto the other's grid first"
        )
    box = foreground_box((mine > 0) | (theirs > 0))
    if box is None:
        return Detection((), (), ())
    mine, theirs = mine[box], theirs[box]
    ours, place_of = _numbered(mine)
    those, home_of = _numbered(theirs)
    touching = _overlaps(place_of, home_of, (len(ours), len(those)))
    if rule == "iou":
        allowed = touching.iou > threshold
    else:
        allowed = touching.theirs == _homes(place_of, home_of, len(ours))[touching.mine]
    pairs = _assign(touching.kept(allowed), (len(ours), len(those)))
    matches = tuple(Match(int(ours[i]), int(those[j]), iou) for i, j, iou in pairs)
    found_i, found_j = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
    return Detection(
        matches,
        missed=tuple(int(v) for j, v in enumerate(those) if j not in found_j),
        false=tuple(int(v) for i, v in enumerate(ours) if i not in found_i),
    )


Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Touching:
    """Pairs of objects with a voxel in common: places of both, (p,) each, and IoU.

    Only these are kept: of thousands of objects each meets a few.
    """

    mine: Places
    theirs: Places
    iou: npt.NDArray[np.float64]

    def kept(self, which: npt.NDArray[np.bool_] | Places) -> _Touching:
        return _Touching(self.mine[which], self.theirs[which], self.iou[which])

    def rows(self) -> list[tuple[int, int, float]]:
        parts = (self.mine.tolist(), self.theirs.tolist(), self.iou.tolist())
        return list(zip(*parts, strict=True))


def _numbered(labels: Labels) -> tuple[Labels, Places]:
    """Values but 0, and for each voxel the place of its value, −1 for background."""
    values, places = np.unique(labels, return_inverse=True)
    shift = int(values[0] == 0)
    return values[shift:], places.reshape(labels.shape) - shift


def _overlaps(mine: Places, theirs: Places, shape: tuple[int, int]) -> _Touching:
    n, m = shape
    size_of = np.bincount(mine[mine >= 0], minlength=n)
    size = np.bincount(theirs[theirs >= 0], minlength=m)
    both = (mine >= 0) & (theirs >= 0)
    codes, shared = np.unique(mine[both] * m + theirs[both], return_counts=True)
    i, j = codes // max(1, m), codes % max(1, m)
    return _Touching(i, j, shared / (size_of[i] + size[j] - shared))


def _homes(mine: Places, theirs: Places, n: int) -> Places:
    """In which of their objects the middle of each of ours lies, (n,); −1 for none.

    An object with a hole may have its middle outside itself, yet inside another: only
    pairs with a common voxel are looked at.
    """
    from scipy import ndimage

    if not n:
        return np.zeros(0, np.intp)
    middles = np.rint(ndimage.center_of_mass(mine >= 0, mine, range(n))).astype(int)
    homes: Places = theirs[tuple(middles.T)]
    return homes


def _assign(pairs: _Touching, shape: tuple[int, int]) -> list[tuple[int, int, float]]:
    """One-to-one pairs of the largest sum of IoU, by rising second place.

    Objects that are not linked by a chain of overlaps cannot compete: each such group
    is solved by itself.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = shape
    links = coo_array((pairs.iou, (pairs.mine, pairs.theirs + n)), (n + m, n + m))
    _, group_of = connected_components(links, directed=False)
    groups = group_of[pairs.mine]
    alone = np.bincount(groups, minlength=n + m)[groups] == 1
    chosen = pairs.kept(alone).rows()
    order = np.argsort(groups, kind="stable")
    order = order[~alone[order]]
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    for group in np.split(order, ends):
        chosen += _best(pairs.kept(group))
    return sorted(chosen, key=lambda pair: pair[1])


def _best(pairs: _Touching) -> list[tuple[int, int, float]]:
    """`_assign` within one group."""
    from scipy.optimize import linear_sum_assignment

    rows, i = np.unique(pairs.mine, return_inverse=True)
    columns, j = np.unique(pairs.theirs, return_inverse=True)
    weights = np.zeros((len(rows), len(columns)))
    weights[i, j] = pairs.iou
    return [
        (int(rows[a]), int(columns[b]), float(weights[a, b]))
        for a, b in zip(*linear_sum_assignment(weights, maximize=True), strict=True)
        if weights[a, b] > 0
    ]
