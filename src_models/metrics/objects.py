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
    iou = _overlaps(place_of, home_of, (len(ours), len(those)))
    allowed = iou > threshold if rule == "iou" else _centred(place_of, home_of, iou)
    pairs = _assign(np.where(allowed, iou, 0))
    matches = tuple(
        Match(int(ours[i]), int(those[j]), float(iou[i, j])) for i, j in pairs
    )
    found_i, found_j = {i for i, _ in pairs}, {j for _, j in pairs}
    return Detection(
        matches,
        missed=tuple(int(v) for j, v in enumerate(those) if j not in found_j),
        false=tuple(int(v) for i, v in enumerate(ours) if i not in found_i),
    )


def _numbered(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Values but 0, and for each voxel the place of its value, −1 for background."""
    values, places = np.unique(labels, return_inverse=True)
    shift = int(values[0] == 0)
    return values[shift:], places.reshape(labels.shape) - shift


def _overlaps(
    mine: npt.NDArray[np.intp], theirs: npt.NDArray[np.intp], shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """IoU of each pair of objects, (n, m)."""
    n, m = shape
    flat = (mine.ravel() + 1) * (m + 1) + theirs.ravel() + 1
    table = np.bincount(flat, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    both = table[1:, 1:].astype(float)
    union = table[1:].sum(1)[:, None] + table[:, 1:].sum(0)[None] - both
    iou: npt.NDArray[np.float64] = both / np.maximum(union, 1)
    return iou


def _centred(
    mine: npt.NDArray[np.intp],
    theirs: npt.NDArray[np.intp],
    iou: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Whether the reference object holds the middle of the predicted one, (n, m)."""
    from scipy import ndimage

    holds = np.zeros(iou.shape, bool)
    middles = (
        ndimage.center_of_mass(mine >= 0, mine, range(len(iou))) if iou.size else ()
    )
    for i, middle in enumerate(middles):
        at = tuple(int(side) for side in np.rint(middle))
        if theirs[at] >= 0:
            # An object with a hole may have its middle outside itself, yet inside the
            # reference: without a common voxel they are not the same one.
            holds[i, theirs[at]] = iou[i, theirs[at]] > 0
    return holds


def _assign(weights: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """One-to-one pairs above 0 of the largest sum, by rising second place."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(weights, maximize=True)
    chosen = [
        (int(i), int(j))
        for i, j in zip(rows, columns, strict=True)
        if weights[i, j] > 0
    ]
    return sorted(chosen, key=lambda pair: pair[1])
