"""Overlap of two masks, from how many voxels agree.

House rule for empty masks, kept by every reading here: both empty → 1 (nothing was
there and nothing was found); exactly one empty → 0. Specificity needs no rule of its
own for them: it looks at the voxels outside the reference, and is 1 if there are none.

References
----------
Taha, A. A. & Hanbury, A. (2015). Metrics for evaluating 3D medical image segmentation.
BMC Medical Imaging 15, 29. https://doi.org/10.1186/s12880-015-0068-x
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from src_models.metrics.checks import Mask, checked_masks

if TYPE_CHECKING:
    from collections.abc import Iterable

Case = Literal["both present", "both empty", "prediction empty", "reference empty"]

_CASES: dict[tuple[bool, bool], Case] = {  # (prediction, reference) hold a voxel
    (True, True): "both present",
    (False, False): "both empty",
    (False, True): "prediction empty",
    (True, False): "reference empty",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Voxels by agreement: true, false positives; false, true negatives; all ≥ 0."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def predicted(self) -> int:
        """Voxels of the prediction."""
        return self.tp + self.fp

    @property
    def referenced(self) -> int:
        """Voxels of the reference."""
        return self.tp + self.fn

    @property
    def case(self) -> Case:
        """Which of the two is empty."""
        return _CASES[self.predicted > 0, self.referenced > 0]


def counts(prediction: Mask, reference: Mask) -> Counts:
    """Count how voxels agree.

    Parameters
    ----------
    prediction, reference : bool array, same shape, any number of axes

    Raises
    ------
    InputError
        If either is not bool or the shapes differ.
    """
    checked_masks(prediction, reference)
    tp = int(np.count_nonzero(prediction & reference))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(reference)) - tp
    return Counts(tp, fp, fn, prediction.size - tp - fp - fn)


def summed(parts: Iterable[Counts], whole: int) -> Counts:
    """Counts of several parts as one, e.g. of frames; the rest of `whole` is `tn`."""
    parts = tuple(parts)
    tp, fp, fn = (sum(getattr(one, key) for one in parts) for key in ("tp", "fp", "fn"))
    return Counts(tp, fp, fn, whole - tp - fp - fn)


def dice(c: Counts) -> float:
    """Dice coefficient, 2 TP / (2 TP + FP + FN), in [0, 1].

    Both empty: 1. One empty: 0.

    References
    ----------
    Dice, L. R. (1945). Ecology 26(3), 297-302.
    """
    return _share(2 * c.tp, c.predicted + c.referenced, c)


def iou(c: Counts) -> float:
    """Intersection over union (Jaccard), TP / (TP + FP + FN), in [0, 1].

    Both empty: 1. One empty: 0. Equals Dice / (2 - Dice).
    """
    return _share(c.tp, c.tp + c.fp + c.fn, c)


def sensitivity(c: Counts) -> float:
    """Share of the reference that was found (recall), TP / (TP + FN), in [0, 1].

    Both empty: 1. One empty: 0.
    """
    return _share(c.tp, c.referenced, c)


def precision(c: Counts) -> float:
    """Share of the prediction that is right, TP / (TP + FP), in [0, 1].

    Both empty: 1. One empty: 0.
    """
    return _share(c.tp, c.predicted, c)


def specificity(c: Counts) -> float:
    """Share of what lies outside the reference that was left out, TN / (TN + FP).

    In [0, 1]. It counts the whole grid: much background makes it high for any
    prediction. No voxel outside the reference: 1.
    """
    outside = c.tn + c.fp
    return c.tn / outside if outside else 1.0


def _share(part: int, whole: int, c: Counts) -> float:
    if whole:
        return part / whole
    return 1.0 if c.case == "both empty" else 0.0
