"""Patches out of cases, a wished share of them round a structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.cases import Case

Index = npt.NDArray[np.intp]
PLACES = 2**18  # kept of a structure; enough to choose from, and little memory


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A piece of a case: image (C, *size), labels and, where known, instances (*size)."""

    case: Case
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    instances: npt.NDArray[Any] | None


class PatchSampler:
    """Draws patches: a case at random, then a place in it.

    Parameters
    ----------
    cases : sequence of Case
    size : tuple of int
        Spatial shape of a patch. Smaller images are mirrored at their edge.
    foreground : float
        Share of patches centred on a voxel of a structure; each structure of the case
        has the same chance, so that small ones are seen as often as large ones. A case
        without any gives patches from anywhere.
    class_balance : bool
        For these patches, draw the structure first, each with the same chance, and then
        a case that holds it: a structure that few cases have is seen as often as the
        others.
    chances : sequence of float, optional
        Of each case to be drawn, sum 1; the same for all without.
    known : bool
        Every patch has a known voxel (label ≥ 0) in its middle half.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size: tuple[int, ...],
        foreground: float,
        *,
        class_balance: bool = False,
        chances: Sequence[float] | None = None,
        known: bool = False,
    ) -> None:
        self._cases = cases
        self._chances = chances
        self._known = [_every_nth(case.labels.ravel() >= 0) for case in cases if known]
        self._size = size
        self._foreground = foreground
        self._places = [_places(case.labels) for case in cases]
        values = sorted({value for places in self._places for value in places})
        self._holders = {
            value: [at for at, places in enumerate(self._places) if value in places]
            for value in (values if class_balance else ())
        }

    def draw(
        self, random: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """One (C, *size) image and its (*size) labels."""
        patch = self.pick(random)
        return patch.image, patch.labels

    def pick(self, random: np.random.Generator) -> Patch:
        """One patch, with the case it is of."""
        at, starts = self._choose(random)
        case = self._cases[at]
        channels = np.arange(len(case.image))
        indices = [
            mirrored(start, side, full)
            for start, side, full in zip(
                starts, self._size, case.labels.shape, strict=True
            )
        ]
        instances = case.instances
        return Patch(
            case=case,
            image=case.image[np.ix_(channels, *indices)],
            labels=case.labels[np.ix_(*indices)],
            instances=None if instances is None else instances[np.ix_(*indices)],
        )

    def case_of(self, random: np.random.Generator) -> Case:
        """The case that `pick` would take with this generator; nothing is cut."""
        return self._cases[self._choose(random)[0]]

    def _choose(self, random: np.random.Generator) -> tuple[int, list[int]]:
        """A case, and where the patch starts; may lie outside the image."""
        if self._holders:
            if random.random() < self._foreground:
                value = _one_of(list(self._holders), random)
                at = _one_of(self._holders[value], random)
                return at, self._round(at, self._places[at][value], random)
            at = self._any_case(random)
            return at, self._anywhere(at, random)
        at = self._any_case(random)
        places = self._places[at]
        if places and random.random() < self._foreground:
            return at, self._round(at, _one_of(list(places.values()), random), random)
        return at, self._anywhere(at, random)

    def _any_case(self, random: np.random.Generator) -> int:
        if self._chances is None:
            return int(random.integers(len(self._cases)))
        return int(random.choice(len(self._cases), p=self._chances))

    def _round(self, at: int, voxels: Index, random: np.random.Generator) -> list[int]:
        """A start that has one of the voxels in the middle half of the patch."""
        shape = self._cases[at].labels.shape
        centre = np.unravel_index(_one_of(voxels, random), shape)
        return [
            int(c) - int(random.integers(side // 4, side - side // 4))
            for c, side in zip(centre, self._size, strict=True)
        ]

    def _anywhere(self, at: int, random: np.random.Generator) -> list[int]:
        if self._known:
            return self._round(at, self._known[at], random)
        shape = self._cases[at].labels.shape
        return [
            int(random.integers(min(0, full - side), max(0, full - side) + 1))
            for full, side in zip(shape, self._size, strict=True)
        ]


def _one_of(things: Any, random: np.random.Generator) -> Any:
    return things[int(random.integers(len(things)))]


def _places(labels: npt.NDArray[Any]) -> dict[int, Index]:
    """Flat indices of each structure's voxels; of very large ones every n-th."""
    flat = labels.ravel()
    found = {}
    for value in np.unique(flat):
        if value > 0:
            found[int(value)] = _every_nth(flat == value)
    return found


def _every_nth(chosen: npt.NDArray[np.bool_]) -> Index:
    """Flat indices of the chosen voxels, some `PLACES` of them at most."""
    voxels = np.flatnonzero(chosen)
    return voxels[:: max(1, -(-len(voxels) // PLACES))].copy()


def mirrored(start: int, side: int, full: int) -> Index:
    """Indices start … start+side−1, reflected into [0, full)."""
    period = max(2 * (full - 1), 1)
    at = np.abs((np.arange(start, start + side) + full - 1) % period - (full - 1))
    return np.minimum(at, full - 1)
