"""Pictures with one structure to click on, drawn from many sets evenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional as F

from src_models.data.click_augment import recoloured
from src_models.data.click_shapes import made_up, merged_regions, smooth_noise
from src_models.data.click_targets import draw_target
from src_models.interactive.image import unit_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.click_cache import Planes

SMALLEST = 20  # pixels of a target that can be learnt from
TRIES = 20
ENOUGH = 4  # patients from which on a set counts fully; one alone counts half
SHOWN = {"whole": 0.2, "focus": 0.3, "near": 0.3, "part": 0.2}
SIDES = {"focus": (1.15, 2.4), "near": (1.15, 9.0)}  # of a window, in those of a target
THIN = 45  # thicknesses beyond which a longer structure would be too thin to be seen


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a simulated user sees.

    Attributes
    ----------
    image : (3, size, size) float32 in [0, 1]
    valid : (size, size) bool
        False beyond the image.
    target : (size, size) bool
    """

    image: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    target: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of what is drawn is made up, or a region of a real picture."""

    shapes: float = 0.15
    regions: float = 0.12


class Sampler:
    """Draws samples: the set first, then its case, plane, slice and structure.

    Parameters
    ----------
    planes : sequence of Planes
        Cases to learn from.
    size : int
        Pixels of a sample's side.
    """

    def __init__(self, planes: Sequence[Planes], size: int, shares: Shares) -> None:
        self.size, self.shares = size, shares
        self.sets, self.odds = evenly([one for one in planes if one.slices])

    def draw(self, random: np.random.Generator) -> Sample:
        """One sample, its target at least `SMALLEST` pixels."""
        valid = np.ones((self.size, self.size), bool)
        for _ in range(TRIES):
            kind = random.random() - self.shares.shapes
            if kind < 0:
                image, target = made_up(self.size, random)
                sample = Sample(image, valid, target)
            else:
                sample = self._real(random, regions=kind < self.shares.regions)
            if sample.target.sum() >= SMALLEST:
                image = recoloured(sample.image, random)
                return Sample(image, sample.valid, sample.target)
        target = np.zeros_like(valid)
        target[self.size // 4 : -self.size // 4, self.size // 4 : -self.size // 4] = (
            True
        )
        return Sample(np.repeat(target[None], 3, 0).astype(np.float32), valid, target)

    def still(self, count: int, seed: int) -> list[Sample]:
        """`count` real samples, the sets in turn, grey values and angles as they are.

        The same for the same seed and cases. Fewer if a set has no target large enough.
        """
        found = []
        for number in range(count if self.sets else 0):
            random = np.random.default_rng([seed, number])
            name = sorted(self.sets)[number % len(self.sets)]
            for _ in range(TRIES):
                image, target = self._slice(name, random)
                if not target.any():
                    continue
                sample = _seen(unit_range(image), target, self.size, random, still=True)
                if sample.target.sum() >= SMALLEST:
                    found.append(sample)
                    break
        return found

    def _slice(
        self, name: str, random: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Image (y, x, c) of a slice of the set, and a structure on it."""
        groups = self.sets[name]
        held = groups[str(random.choice(sorted(groups)))]
        planes = held[int(random.integers(len(held)))]
        axis = int(random.choice(sorted(planes.slices)))
        at = int(random.choice(planes.slices[axis]))
        image, labels = planes.picture(axis, at)
        return image, draw_target(labels, random, instances=planes.entry.instances)

    def _real(self, random: np.random.Generator, *, regions: bool) -> Sample:
        name = str(random.choice(sorted(self.sets), p=self.odds))
        image, target = self._slice(name, random)
        if not target.any():
            return Sample(np.zeros((3, 1, 1), np.float32), target, target)
        sample = _seen(unit_range(image), target, self.size, random)
        if regions:
            mask = merged_regions(sample.image, sample.valid, random)
            return Sample(sample.image, sample.valid, mask & sample.valid)
        return sample


def evenly(
    planes: Sequence[Planes],
) -> tuple[dict[str, dict[str, list[Planes]]], npt.NDArray[np.float64]]:
    """Set → patient → scans; and how often each set, by name, is drawn."""
    sets: dict[str, dict[str, list[Planes]]] = {}
    for one in planes:
        groups = sets.setdefault(one.entry.set, {})
        groups.setdefault(one.entry.group, []).append(one)
    many = np.sqrt([min(len(sets[name]), ENOUGH) for name in sorted(sets)])
    return sets, many / many.sum()


def _seen(
    image_CYX: npt.NDArray[np.float32],
    target_YX: npt.NDArray[np.bool_],
    size: int,
    random: np.random.Generator,
    *,
    still: bool = False,
) -> Sample:
    """A picture through a random square window, bent and turned unless `still`."""
    middle, side = _window(target_YX, random)
    zoom = max(1, int(side / size))
    stack = np.concatenate([image_CYX, target_YX[None], np.ones_like(target_YX)[None]])
    layers = torch.from_numpy(stack.astype(np.float32, copy=False))[None]
    if zoom > 1:  # or the grid would skip pixels
        layers = F.avg_pool2d(layers, zoom, ceil_mode=True, count_include_pad=False)
        middle, side = (middle + 0.5) / zoom - 0.5, side / zoom
    spread = _spread(size, None if still else random)
    shape = np.array(layers.shape[2:])
    at = (2 * (middle + side * spread) + 1) / shape - 1
    grid = torch.from_numpy(at[None, ..., ::-1].astype(np.float32))
    padding = "zeros" if still or random.random() < 0.75 else "reflection"
    seen = F.grid_sample(layers, grid, padding_mode=padding, align_corners=False)[0]
    found = seen.numpy()
    valid = found[-1] > 0.5
    image = np.broadcast_to(found[:-2], (3, size, size))
    return Sample(np.ascontiguousarray(image), valid, (found[-2] > 0.5) & valid)


def _window(
    target: npt.NDArray[np.bool_], random: np.random.Generator
) -> tuple[npt.NDArray[np.float64], float]:
    """Middle (y, x) and side, in pixels of the picture."""
    shape = np.array(target.shape)
    ys, xs = np.nonzero(target)
    low, high = np.array([ys.min(), xs.min()]), np.array([ys.max(), xs.max()])
    longest = float((high - low).max() + 1)
    style = str(random.choice(list(SHOWN), p=list(SHOWN.values())))
    thick = 2 * len(ys) / float((target & ~ndimage.binary_erosion(target)).sum())
    if (style == "part" and longest >= 48) or longest > THIN * thick:
        pick = int(random.integers(len(ys)))
        least = min(max(10 * thick, 24.0), longest)
        most = min(THIN * thick, longest)
        side = float(np.exp(random.uniform(np.log(least), np.log(max(least, most)))))
        return np.array([ys[pick], xs[pick]], float), side
    if style == "whole":
        return (shape - 1) / 2, float(shape.max()) * random.uniform(0.9, 1.15)
    closest, widest = SIDES.get(style, SIDES["focus"])
    side = longest * float(np.exp(random.uniform(np.log(closest), np.log(widest))))
    side = max(min(side, 1.1 * float(shape.max())), 24.0)
    return (low + high) / 2 + random.uniform(-0.15, 0.15, 2) * side, side


def _spread(size: int, random: np.random.Generator | None) -> npt.NDArray[np.float64]:
    """Where each pixel of the sample looks: (size, size, yx) of −½ … ½ of the window."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    if random is None:
        return np.stack([y, x], -1)
    turn = random.uniform(-np.pi, np.pi) if random.random() < 0.3 else 0.0
    turn += random.normal(0, 0.1)
    stretch = np.exp(random.normal(0, 0.1, 2)) * random.choice([-1, 1], 2)
    y, x = y * stretch[0], x * stretch[1]
    if random.random() < 0.25:
        bend = smooth_noise(size, int(random.integers(2, 6)), random, 2)
        strength = random.uniform(0, 0.025)
        y, x = y + strength * bend[0], x + strength * bend[1]
    if random.random() < 0.5:
        y, x = x, y
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([y * cos - x * sin, y * sin + x * cos], -1)
