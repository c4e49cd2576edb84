"""Volumes with one structure to click on, drawn from many sets evenly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional as F

from src_models.data.click_augment import recoloured
from src_models.data.click_samples import SMALLEST, TRIES, evenly
from src_models.data.click_shapes import smooth_noise
from src_models.data.click_targets import draw_target, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from src_models.data.click_cache import Planes
    from src_models.data.click_samples import Shares

    Floats = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

DEEP = 8  # slices of a volume worth looking at
CLOSEST, WIDEST = 1.15, 5.0  # side of a window, in those of the structure
LEAST = 12  # voxels of a window's side, in the finest of the spacings
SCALES = 0.4  # share of samples at one of the scales that a first answer is sought at
HALVINGS = 4  # of the whole scan at most
TAILS = (0.1, 99.9)  # percentiles that become 0 and 1


@dataclass(frozen=True, slots=True, eq=False)
class VolumeSample:
    """What a simulated user sees.

    Attributes
    ----------
    image : (1, size, size, size) float32 in [0, 1]
    valid : (size, size, size) bool
        False beyond the scan.
    target : (size, size, size) bool
    """

    image: Floats
    valid: Mask
    target: Mask


class VolumeSampler:
    """Draws samples: the set first, then its patient, scan and structure.

    Parameters
    ----------
    planes : sequence of Planes
        Scans to learn from; those of fewer than `DEEP` slices are left out.
    size : int
        Voxels of a sample's side.
    """

    def __init__(self, planes: Sequence[Planes], size: int, shares: Shares) -> None:
        self.size, self.shares = size, shares
        deep = [one for one in planes if len(one.labels) >= DEEP]
        self.sets, self.odds = evenly(deep)

    def draw(self, random: np.random.Generator) -> VolumeSample:
        """One sample, its target at least `SMALLEST` voxels."""
        for _ in range(TRIES):
            if random.random() < self.shares.shapes or not self.sets:
                sample = made_up_volume(self.size, random)
            else:
                name = str(random.choice(sorted(self.sets), p=self.odds))
                sample = self._real(name, random)
            if sample.target.sum() >= SMALLEST:
                image = recoloured(sample.image, random)
                return VolumeSample(image, sample.valid, sample.target)
        return made_up_volume(self.size, random)

    def still(self, count: int, seed: int) -> list[VolumeSample]:
        """`count` real samples, the sets in turn, as the scans are.

        The same for the same seed and scans. Fewer if a set has no target large enough.
        """
        found = []
        for number in range(count if self.sets else 0):
            random = np.random.default_rng([seed, number])
            name = sorted(self.sets)[number % len(self.sets)]
            for _ in range(TRIES):
                sample = self._real(name, random, still=True)
                if sample.target.sum() >= SMALLEST:
                    found.append(sample)
                    break
        return found

    def structure(
        self, random: np.random.Generator
    ) -> tuple[Planes, npt.NDArray[np.bool_]]:
        """A scan and a structure in it, (z, y, x), at times empty."""
        return self._scan(str(random.choice(sorted(self.sets), p=self.odds)), random)

    def _scan(
        self, name: str, random: np.random.Generator
    ) -> tuple[Planes, npt.NDArray[np.bool_]]:
        groups = self.sets[name]
        held = groups[str(random.choice(sorted(groups)))]
        planes = held[int(random.integers(len(held)))]
        labels = np.asarray(planes.labels)
        return planes, draw_target(labels, random, instances=planes.entry.instances)

    def _real(
        self, name: str, random: np.random.Generator, *, still: bool = False
    ) -> VolumeSample:
        planes, target = self._scan(name, random)
        if not target.any():
            return VolumeSample(np.zeros((1, 1, 1, 1), np.float32), target, target)
        return seen(planes, target, self.size, random, still=still)


def seen(
    planes: Planes,
    target: Mask,
    size: int,
    random: np.random.Generator,
    *,
    still: bool = False,
) -> VolumeSample:
    """A scan through a random cube round the target; turned and bent unless `still`.

    At times the cube is the whole scan, a half, a quarter … of it, round a click, as a
    first answer is sought.
    """
    spacing = np.array(planes.entry.spacing)
    where = ndimage.find_objects(target.astype(np.uint8))[0]
    low = np.array([part.start for part in where], float)
    high = np.array([part.stop for part in where], float)
    longest = float(((high - low) * spacing).max())
    side = longest * float(np.exp(random.uniform(np.log(CLOSEST), np.log(WIDEST))))
    side = max(side, LEAST * float(spacing.min()))
    side = min(side, 1.1 * float((np.array(target.shape) * spacing).max()))
    middle = (low + high - 1) / 2 * spacing + random.uniform(-0.15, 0.15, 3) * side
    if not still and random.random() < SCALES:
        side, middle = _at_scale(target, spacing, random)
    spread = _spread(size, None if still else random)
    at = (middle + side * spread) / spacing  # voxels of the scan, (z, y, x, 3)
    low, high = np.floor(at.reshape(-1, 3).min(0)), np.ceil(at.reshape(-1, 3).max(0))
    box = tuple(
        slice(max(int(a) - 1, 0), max(int(b) + 2, 1))
        for a, b in zip(low, high, strict=True)
    )
    grey = np.asarray(planes.image[box]).astype(np.float32).mean(-1)
    lowest, highest = _range_of(planes)
    grey = np.clip((grey - lowest) / max(highest - lowest, 1e-6), 0, 1)
    held = np.stack([grey, target[box], np.ones_like(grey)]).astype(np.float32)
    at = at - [part.start for part in box]
    found = sampled(torch.from_numpy(held), at).numpy()
    valid = found[2] > 0.5
    return VolumeSample(found[:1], valid, (found[1] > 0.5) & valid)


def sampled(layers_CZYX: Tensor, at: npt.NDArray[np.float64]) -> Tensor:
    """Layers at places (*S, zyx), in voxels: (C, *S); zeros beyond, linear in between.

    Where the places lie further apart than the voxels, along an axis, voxels are averaged
    first.
    """
    low = np.floor(at.reshape(-1, 3).min(0)).astype(int) - 1
    high = np.ceil(at.reshape(-1, 3).max(0)).astype(int) + 2
    shape = layers_CZYX.shape[1:]
    low = np.clip(low, 0, np.array(shape) - 1)
    high = np.clip(high, low + 1, shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = layers_CZYX[:, *box][None]
    apart = np.ptp(at.reshape(-1, 3), axis=0) / max(len(at) - 1, 1)
    kernel = np.clip(np.floor(apart + 0.01).astype(int), 1, part.shape[2:])
    if (kernel > 1).any():
        part = F.avg_pool3d(
            part, kernel.tolist(), ceil_mode=True, count_include_pad=False
        )
    there = (at - low + 0.5) / kernel - 0.5
    grid = (2 * there + 1) / np.array(part.shape[2:]) - 1
    points = torch.from_numpy(grid[None, ..., ::-1].astype(np.float32))
    found: Tensor = F.grid_sample(part, points, align_corners=False)[0]
    return found


def _at_scale(
    target: Mask, spacing: npt.NDArray[np.float64], random: np.random.Generator
) -> tuple[float, npt.NDArray[np.float64]]:
    """Side and middle, in mm, of a cube as a first answer is sought in."""
    widest = float((np.array(target.shape) * spacing).max())
    halvings = int(np.log2(max(1.0, widest / (LEAST * float(spacing.min())))))
    side = widest / 2 ** int(random.integers(min(halvings, HALVINGS) + 1))
    places = np.argwhere(target)
    return side, places[int(random.integers(len(places)))] * spacing


@lru_cache(maxsize=512)
def _range_of(planes: Planes) -> tuple[float, float]:
    """The grey values that become 0 and 1."""
    step = max(1, int(max(planes.labels.shape) / 64))
    some = np.asarray(planes.image[::step, ::step, ::step]).astype(np.float32)
    low, high = np.percentile(some, TAILS)
    return float(low), float(high)


def _spread(size: int, random: np.random.Generator | None) -> npt.NDArray[np.float64]:
    """Where each voxel of the sample looks: (size, size, size, zyx) of −½ … ½."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    if random is None:
        return grid
    turn, _ = np.linalg.qr(np.eye(3) + random.normal(0, 0.12, (3, 3)))
    turn = turn * np.sign(np.diag(turn))
    stretch = np.exp(random.normal(0, 0.1, 3)) * random.choice([-1, 1], 3)
    moved: npt.NDArray[np.float64] = (grid * stretch) @ turn.T
    return moved[..., random.permutation(3)] if random.random() < 0.5 else moved


def made_up_volume(size: int, random: np.random.Generator) -> VolumeSample:
    """Blobs of random greys and textures, and one of them; never empty."""
    kinds = int(random.integers(2, 7))
    cells = int(random.integers(2, 9))
    regions = smooth_noise(size, cells, random, kinds, ndim=3).argmax(0)
    steps = np.mgrid[:size, :size, :size] / size
    for _ in range(int(random.integers(0, 4))):
        middle = random.uniform(0.15, 0.85, (3, 1, 1, 1))
        axes = np.exp(random.uniform(np.log(0.06), np.log(0.35), (3, 1, 1, 1)))
        regions[(((steps - middle) / axes) ** 2).sum(0) < 1] = regions.max() + 1
    count = int(regions.max()) + 1
    level, rough = random.random(count), 0.25 * random.random(count)
    grain = smooth_noise(size, int(random.integers(4, size)), random, ndim=3)[0]
    grey = level[regions] + rough[regions] * grain
    width = float(random.uniform(0, 1.0))
    grey = ndimage.gaussian_filter(np.clip(grey, 0, 1), width, truncate=3)
    mask = regions == random.choice(np.unique(regions))
    parts, _ = parts_of(mask)
    chosen = np.argwhere(mask)[int(random.integers(int(mask.sum())))]
    valid = np.ones(mask.shape, bool)
    part: Mask = parts == parts[tuple(chosen)]
    return VolumeSample(grey[None].astype(np.float32), valid, part)
