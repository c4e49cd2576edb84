"""Which structures of a labelled slice one might click on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.data.click_simulation import interior_point

if TYPE_CHECKING:
    Mask = npt.NDArray[np.bool_]
    Labels = npt.NDArray[Any]

# How often each kind of target is drawn.
KINDS = {"part": 0.42, "label": 0.38, "union": 0.08, "all": 0.06, "cut": 0.06}


def parts_of(mask_YX: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """8-connected components: numbers from 1, and how many."""
    parts, count = ndimage.label(mask_YX, np.ones((3, 3), int))
    return parts, count


def draw_target(
    labels_YX: Labels, random: np.random.Generator, *, instances: bool
) -> Mask:
    """One structure of a slice: a label, a part, a union, all, or a piece cut off.

    Empty if the slice is. Of instances a label and a part are one object each.
    """
    values = np.unique(labels_YX)
    values = values[values > 0]
    if not len(values):
        return np.zeros(labels_YX.shape, bool)
    kind = str(random.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "all":
        return labels_YX > 0
    mask: Mask = labels_YX == random.choice(values)
    if kind == "union" and len(values) > 1:
        return _united(labels_YX, mask, values, random)
    if kind == "part" or (kind == "cut" and instances):
        mask = _part(mask, random)
    return _cut(mask, random) if kind == "cut" else mask


def _part(mask: Mask, random: np.random.Generator) -> Mask:
    """One component; the larger half of the time one of the largest."""
    parts, count = parts_of(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())[1:].astype(float)
    weight = sizes if random.random() < 0.5 else np.sqrt(sizes)
    pick = 1 + int(random.choice(count, p=weight / weight.sum()))
    found: Mask = parts == pick
    return found


def _united(
    labels: Labels, mask: Mask, values: Labels, random: np.random.Generator
) -> Mask:
    """The label with those that touch it, or with any other if none does."""
    rim = np.unique(labels[ndimage.binary_dilation(mask, iterations=2) & ~mask])
    others = rim[rim > 0] if (rim > 0).any() else values
    count = int(random.integers(1, min(3, len(others)) + 1))
    united: Mask = mask | np.isin(labels, random.choice(others, count, replace=False))
    return united


def _cut(mask: Mask, random: np.random.Generator) -> Mask:
    """The side of a straight line through the structure that holds its middle."""
    middle = interior_point(mask)
    if middle is None:
        return mask
    ys, xs = np.nonzero(mask)
    angle = random.uniform(0, 2 * np.pi)
    along = (ys - middle[0]) * np.sin(angle) + (xs - middle[1]) * np.cos(angle)
    kept = along <= random.uniform(0.1, 0.9) * max(float(along.max()), 1.0)
    out = np.zeros_like(mask)
    out[ys[kept], xs[kept]] = True
    return out
