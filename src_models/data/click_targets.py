"""Which structures of a labelled slice or volume one might click on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.interactive.interior import interior_point

if TYPE_CHECKING:
    Mask = npt.NDArray[np.bool_]
    Labels = npt.NDArray[Any]

# How often each kind of target is drawn: a part of a label, a label, a label with others,
# everything, a piece cut off.
KINDS = {"part": 0.42, "label": 0.38, "union": 0.08, "all": 0.06, "cut": 0.06}


def parts_of(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Components, diagonals included: numbers from 1, and how many."""
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim, int))
    return parts, count


def draw_target(
    labels: Labels, random: np.random.Generator, *, instances: bool
) -> Mask:
    """One structure of labels (y, x) or (z, y, x): one of `KINDS`.

    Empty if there is none. Of instances a label and a part are one object each.
    """
    values = np.unique(labels)
    values = values[values > 0]
    if not len(values):
        return np.zeros(labels.shape, bool)
    kind = str(random.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "all":
        return labels > 0
    mask: Mask = labels == random.choice(values)
    if kind == "union" and len(values) > 1:
        return _united(labels, mask, values, random)
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
    """The side of a plane through the structure that holds its middle."""
    middle = interior_point(mask)
    if middle is None:
        return mask
    places = np.argwhere(mask)
    across = random.normal(size=mask.ndim)
    along = (places - middle) @ (across / np.linalg.norm(across))
    kept = places[along <= random.uniform(0.1, 0.9) * max(float(along.max()), 1.0)]
    out = np.zeros_like(mask)
    out[tuple(kept.T)] = True
    return out
