"""Pictures with one structure to click on, drawn from many sets evenly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from src_models.data.click_augment import recoloured
from src_models.data.click_shapes import made_up, merged_regions, smooth_noise
from src_models.data.click_targets import draw_target
from src_models.interactive.image import unit_range
from src_models.interactive.prompt_maps import colours_at
from src_models.interactive.thin import THIN, thickness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.click_cache import Planes

SMALLEST = 6  # pixels of a target that can be learnt from
TRIES = 20
ENOUGH = 4  # patients from which on a set counts fully; one alone counts half
SHOWN = {"scale": 0.45, "focus": 0.3, "near": 0.15, "whole": 0.1}
SIDES = {"focus": (1.15, 2.4), "near": (1.15, 9.0)}  # of a window, in those of a target
LEAST = 24.0  # pixels that a window spans at least
FAR = 0.4  # share of thin structures shown where nobody clicked
FAR_SHAPES = 0.15  # of made-up ones, most of which are not thin
WIDE = 1.5  # sides of a sample, in which a place beyond it is found


def _nowhere() -> npt.NDArray[np.float32]:
    return np.zeros((0, 3), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a simulated user sees.

    Attributes
    ----------
    image : (3, size, size) float32 in [0, 1]
    valid : (size, size) bool
        False beyond the image.
    target : (size, size) bool
    elsewhere : (n, 3) float32
        Colours of the structure where it was clicked beyond the sample, if it was. Only
        then the target may be empty.
    """

    image: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    target: npt.NDArray[np.bool_]
    elsewhere: npt.NDArray[np.float32] = field(default_factory=_nowhere)


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
        for _ in range(TRIES):
            kind = random.random() - self.shares.shapes
            if kind < 0:
                sample = self._made_up(random)
            else:
                sample = self._real(random, regions=kind < self.shares.regions)
            if sample.target.sum() >= SMALLEST:
                image = recoloured(sample.image, random)
                return beyond(replace(sample, image=image), self.size, random)
        valid = np.ones((self.size, self.size), bool)
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

    def structure(
        self, random: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Image (y, x, c) of a slice and a structure on it, (y, x), at times empty."""
        return self._slice(str(random.choice(sorted(self.sets), p=self.odds)), random)

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

    def _made_up(self, random: np.random.Generator) -> Sample:
        size = self.size
        if random.random() < FAR_SHAPES:
            size = int(WIDE * size)
        image, target = made_up(size, random)
        thin = thickness(target) * 12 < self.size
        if not thin:
            image, target = (
                image[:, : self.size, : self.size],
                target[: self.size, : self.size],
            )
        return Sample(image, np.ones(target.shape, bool), target)

    def _real(self, random: np.random.Generator, *, regions: bool) -> Sample:
        image, target = self.structure(random)
        if not target.any():
            return Sample(np.zeros((3, 1, 1), np.float32), target, target)
        far = not regions
        sample = _seen(unit_range(image), target, self.size, random, far=far)
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
    far: bool = False,
) -> Sample:
    """A picture through a random square window, bent and turned unless `still`.

    With `far`, `WIDE` times as large for some thin structures: see `beyond`.
    """
    middle, side, thin = _window(target_YX, random)
    if thin and far and random.random() < FAR:
        size, side = int(WIDE * size), WIDE * side
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
) -> tuple[npt.NDArray[np.float64], float, bool]:
    """Middle (y, x) and side, in pixels of the picture; whether the target is thin."""
    shape = np.array(target.shape)
    ys, xs = np.nonzero(target)
    low, high = np.array([ys.min(), xs.min()]), np.array([ys.max(), xs.max()])
    longest = float((high - low).max() + 1)
    style = str(random.choice(list(SHOWN), p=list(SHOWN.values())))
    thick = thickness(target)
    pick = int(random.integers(len(ys)))
    clicked = np.array([ys[pick], xs[pick]], float)
    widest = float(shape.max())
    if longest > THIN * thick:
        least = min(max(10 * thick, LEAST), longest)
        most = min(THIN * thick, longest)
        side = float(np.exp(random.uniform(np.log(least), np.log(max(least, most)))))
        return clicked, side, True
    if style == "whole":
        return (shape - 1) / 2, widest * random.uniform(0.9, 1.15), False
    if style == "scale":  # one of those that a first answer is sought at
        halvings = int(max(0.0, np.log2(widest / LEAST)))
        return clicked, widest / 2 ** int(random.integers(halvings + 1)), False
    side = longest * float(np.exp(random.uniform(*np.log(SIDES[style]))))
    side = max(min(side, 1.1 * widest), LEAST)
    return (low + high) / 2 + random.uniform(-0.15, 0.15, 2) * side, side, False


def beyond(wide: Sample, size: int, random: np.random.Generator) -> Sample:
    """A part, `size` pixels a side, of a sample, and the structure's colours beyond it.

    So a net learns to find all of a structure that was clicked in one place. A sample of
    that size already is returned as it is.
    """
    room = len(wide.target) - size
    if not room:
        return wide
    y, x = (int(random.choice((0, room // 2, room))) for _ in range(2))
    part = (slice(y, y + size), slice(x, x + size))
    outside = wide.target.copy()
    outside[part] = False
    places = np.argwhere(outside if outside.any() else wide.target)
    picks = places[random.integers(len(places), size=int(random.integers(1, 5)))]
    return Sample(
        np.ascontiguousarray(wide.image[:, *part]),
        wide.valid[part],
        wide.target[part],
        colours_at(wide.image, picks.astype(float)),
    )


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
