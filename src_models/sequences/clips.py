"""Clips out of sequences: some frames round an annotated one, in a part of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.data.augment import augmentation
from src_models.data.loader import BatchMaker, Share
from src_models.data.patches import Patch, mirrored
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.sequences.propagate import annotated_frames
from src_models.training.taught import check_all, judged, ready

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.training.config import Recipe


class ClipSampler:
    """Draws a case, one of its marked frames, and a place in it.

    Parameters
    ----------
    cases : sequence of Case
        Images (C, T, *S), labels (T, *S).
    marks : sequence of sequences of int
        Of each case, the frames that may stand in a clip's middle; one at least.
    size : tuple of int
        Frames of a clip, then its sides. In a course its ends are repeated before the
        first and after the last frame, unlabelled; smaller images are mirrored.
    foreground : float
        Share of clips with a structure of the middle frame in their middle half, each
        structure with the same chance.
    cyclic : bool
        Whether the last frame is followed by the first.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        marks: Sequence[Sequence[int]],
        size: tuple[int, ...],
        foreground: float,
        *,
        cyclic: bool,
    ) -> None:
        self._cases, self._marks = cases, marks
        self._frames, *self._sides = size
        self._foreground, self._cyclic = foreground, cyclic

    def case_of(self, random: np.random.Generator) -> Case:
        """The case that `pick` would take with this generator."""
        return self._cases[int(random.integers(len(self._cases)))]

    def pick(self, random: np.random.Generator) -> Patch:
        """One clip: image (C, *size), labels (*size)."""
        at = int(random.integers(len(self._cases)))
        case, marks = self._cases[at], self._marks[at]
        middle = marks[int(random.integers(len(marks)))]
        spans = self._spans(case.labels[middle], random)
        wish = middle - (self._frames - 1) // 2 + np.arange(self._frames)
        last = len(case.labels) - 1
        frames = wish % (last + 1) if self._cyclic else wish.clip(0, last)
        labels = case.labels[np.ix_(frames, *spans)]
        if not self._cyclic:
            labels = labels.astype(np.int16)
            labels[wish != frames] = IGNORE
        channels = np.arange(len(case.image))
        image = case.image[np.ix_(channels, frames, *spans)]
        return Patch(case=case, image=image, labels=labels, instances=None)

    def _spans(
        self, labels: npt.NDArray[Any], random: np.random.Generator
    ) -> list[npt.NDArray[np.intp]]:
        """Indices along each axis of space."""
        values = np.unique(labels[labels > 0])
        starts = [
            int(random.integers(min(0, full - side), max(0, full - side) + 1))
            for full, side in zip(labels.shape, self._sides, strict=True)
        ]
        if len(values) and random.random() < self._foreground:
            voxels = np.argwhere(labels == values[int(random.integers(len(values)))])
            centre = voxels[int(random.integers(len(voxels)))]
            starts = [
                int(c) - int(random.integers(side // 4, side - side // 4))
                for c, side in zip(centre, self._sides, strict=True)
            ]
        return [
            mirrored(start, side, full)
            for start, side, full in zip(starts, self._sides, labels.shape, strict=True)
        ]


def sequences_of(recipe: Recipe, cases: Split, annotated: Sequence[int]) -> Split:
    """The split with what may be learnt from: labels of the annotated frames alone.

    Training cases without any are left out.

    Raises
    ------
    InputError
        If none is left, none has a second frame, an annotated frame is not there, or
        cases do not fit the net.
    """
    kept = []
    for case in cases.train:
        if annotated and max(annotated) >= len(case.labels):
            raise InputError(
                f"case {case.name} has {len(case.labels)} frame(s), so that frame "
                f"{max(annotated)} of method.options.annotated is not there; frames are "
                "counted from 0"
            )
        labels = case.labels.astype(np.int16)
        if annotated:
            labels[np.isin(np.arange(len(labels)), annotated, invert=True)] = IGNORE
        kept.append(replace(case, labels=labels))
    known = [case for case in kept if annotated_frames(case)]
    if not known:
        raise InputError(
            f"none of the {len(kept)} training sequences has a labelled frame, so there "
            "is nothing to learn; annotate one frame at least, or look at "
            "data.blank_frames and method.options.annotated"
        )
    if all(len(case.labels) == 1 for case in known):
        raise InputError(
            "every labelled training sequence has a single frame, so there is no order to "
            "learn; give scans over time, or take a system that reads single images"
        )
    left = replace(cases, train=tuple(known))
    check_all(recipe, left)
    return left


def maker_of_clips(
    recipe: Recipe,
    cases: Sequence[Case],
    marks: Sequence[Sequence[int]],
    size: tuple[int, ...],
    *,
    seed: int,
) -> BatchMaker:
    """Clips of the cases under the recipe's changes; `seed` sets one source apart."""
    spec, patches = recipe.net, recipe.patches
    return BatchMaker(
        sampler=ClipSampler(
            ready(cases, recipe),
            marks,
            size,
            patches.foreground,
            cyclic=recipe.cyclic,
        ),
        augment=augmentation(recipe.augment, spec.ndim, frames=True),
        share=Share(batch=patches.batch),
        seed=recipe.train.seed + seed,
        classes=spec.classes,
    )


def over_time(
    recipe: Recipe,
    said_BKTS: Tensor,
    labels_BTS: Tensor,
    weights: Sequence[float],
    number: int,
) -> Tensor:
    """Σ w(t) · loss(t) / Σ w(t) over the frames of which something is known.

    `number`: the epoch, from 1.

    Raises
    ------
    ValueError
        If nothing is known of any frame.
    """
    losses, total = [], 0.0
    for t, weight in enumerate(weights):
        labels = labels_BTS[:, t]
        if (labels != IGNORE).any():
            losses.append(weight * judged(recipe, said_BKTS[:, :, t], labels, number))
            total += weight
    if not losses:
        raise ValueError("no frame of the clip has a known voxel")
    return sum(losses[1:], start=losses[0]) / total
