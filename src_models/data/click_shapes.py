"""Made-up images and structures, so that structures never trained on work too.

Random shapes with random greys: the idea of Hoffmann et al., "SynthMorph", IEEE TMI 2022,
and Billot et al., "SynthSeg", MedIA 2023. Regions of real images: Xu et al., MICCAI 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from skimage.segmentation import watershed
from torch.nn import functional as F

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]


# How often each kind of structure is made up, and which are drawn onto the image.
STYLES = {"ellipse": 0.2, "tree": 0.3, "walls": 0.15, "part": 0.25, "region": 0.1}
DRAWN = ("ellipse", "tree", "walls")


def smooth_noise(
    size: int, cells: int, random: np.random.Generator, count: int = 1, ndim: int = 2
) -> Floats:
    """(count, *ndim × size) of noise with about `cells` bumps a side, sd about 1."""
    cells = max(2, min(cells, size))
    coarse = random.standard_normal((1, count, *[cells + 1] * ndim), np.float32)
    fine = F.interpolate(
        torch.from_numpy(coarse),
        (size,) * ndim,
        mode="bicubic" if ndim == 2 else "trilinear",
        align_corners=True,
    )[0].numpy()
    noise: Floats = (fine / max(float(fine.std()), 1e-6)).astype(np.float32)
    return noise


def made_up(size: int, random: np.random.Generator) -> tuple[Floats, Mask]:
    """An image (3, size, size) in [0, 1] and one structure on it, never empty."""
    regions = _regions(size, random)
    for _ in range(int(random.integers(0, 4))):
        regions[_ellipse(size, random)] = regions.max() + 1
    image = _textured(regions, random)
    style = str(random.choice(list(STYLES), p=list(STYLES.values())))
    if style == "ellipse":
        mask = _ellipse(size, random)
    elif style == "tree":
        mask = _tree(size, random)
    elif style == "walls":
        mask = _walls(regions, random)
    else:
        mask = regions == random.choice(np.unique(regions))
        if style == "part":
            mask = _one_part(mask, random)
    if style in DRAWN:
        texture = _textured(np.zeros((size, size), int), random)
        strength = random.uniform(0.5, 1)
        image = np.where(mask, strength * texture + (1 - strength) * image, image)
    width = float(random.uniform(0, 1.2))
    image = ndimage.gaussian_filter(image, (0, width, width), truncate=3)
    return np.clip(image, 0, 1).astype(np.float32), mask


def merged_regions(
    image_CYX: Floats, valid_YX: Mask, random: np.random.Generator
) -> Mask:
    """A few neighbouring superpixels of like colour, never empty.

    Superpixels are the basins of the blurred image's gradient, from random markers.
    """
    size = image_CYX.shape[-1]
    grey = ndimage.gaussian_filter(image_CYX.mean(0), float(random.uniform(0.7, 2.5)))
    slope = ndimage.gaussian_gradient_magnitude(grey, 1.0)
    markers = np.zeros(grey.shape, np.int32)
    count = int(np.exp(random.uniform(np.log(12), np.log(160))))
    at = random.integers(0, size, (2, count))
    markers[at[0], at[1]] = np.arange(1, count + 1)
    basins = watershed(slope, markers) - 1
    weight = np.maximum(np.bincount(basins.ravel(), minlength=count), 1)
    mean = np.stack(
        [
            np.bincount(basins.ravel(), band.ravel(), minlength=count) / weight
            for band in image_CYX
        ]
    )
    inside = np.unique(basins[valid_YX]) if valid_YX.any() else np.unique(basins)
    chosen = {int(random.choice(inside))}
    near = _neighbours(basins)
    for _ in range(int(random.geometric(0.35)) - 1):
        rim = sorted({b for a in chosen for b in near.get(a, ())} - chosen)
        if not rim:
            break
        own = mean[:, sorted(chosen)].mean(1)
        gap = np.abs(mean[:, rim] - own[:, None]).sum(0)
        chosen.add(rim[int(gap.argmin())])
    mask: Mask = np.isin(basins, sorted(chosen))
    return mask


def _neighbours(basins: npt.NDArray[np.int32]) -> dict[int, set[int]]:
    """Number of a region → numbers of those that touch it."""
    pairs = np.concatenate(
        [
            np.stack([basins[1:].ravel(), basins[:-1].ravel()], 1),
            np.stack([basins[:, 1:].ravel(), basins[:, :-1].ravel()], 1),
        ]
    )
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].astype(np.int64)
    keys = np.unique(pairs[:, 0] * (int(basins.max()) + 1) + pairs[:, 1])
    near: dict[int, set[int]] = {}
    for key in keys.tolist():
        a, b = divmod(key, int(basins.max()) + 1)
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return near


def _regions(size: int, random: np.random.Generator) -> npt.NDArray[Any]:
    """A label map of smooth blobs."""
    kinds = int(random.integers(2, 8))
    fields = smooth_noise(size, int(random.integers(2, 14)), random, kinds)
    regions: npt.NDArray[Any] = fields.argmax(0)
    return regions


def _textured(regions: npt.NDArray[Any], random: np.random.Generator) -> Floats:
    """A grey or a colour and a texture for each region, (3, y, x)."""
    size = regions.shape[-1]
    count = int(regions.max()) + 1
    grey = random.random() < 0.75
    level = random.uniform(0, 1, (1 if grey else 3, count))
    rough = random.uniform(0, 0.25, count) * (random.random(count) < 0.6)
    grain = smooth_noise(size, int(np.exp(random.uniform(2, np.log(size)))), random)
    image = level[:, regions] + rough[regions] * grain
    if random.random() < 0.4:
        image = image + 0.2 * smooth_noise(size, 2, random)
    return np.broadcast_to(image, (3, size, size)).astype(np.float32)


def _one_part(mask: Mask, random: np.random.Generator) -> Mask:
    """A connected part of the mask, chosen by area."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    ys, xs = np.nonzero(mask)
    pick = int(random.integers(len(ys)))
    found: Mask = parts == parts[ys[pick], xs[pick]]
    return found


def _ellipse(size: int, random: np.random.Generator) -> Mask:
    """An ellipse with a wavy rim, its middle on the image."""
    grid = np.mgrid[:size, :size] - random.uniform(0.1, 0.9, (2, 1, 1)) * size
    turn = random.uniform(0, np.pi)
    along = grid[0] * np.cos(turn) + grid[1] * np.sin(turn)
    across = grid[1] * np.cos(turn) - grid[0] * np.sin(turn)
    axes = size * np.exp(random.uniform(np.log(0.03), np.log(0.35), 2))
    waves = 0.15 * random.random() * smooth_noise(size, 8, random)[0]
    mask: Mask = (along / axes[0]) ** 2 + (across / axes[1]) ** 2 < 1 + waves
    mask[
        tuple(np.clip(random.integers(size // 4, 3 * size // 4, 2), 0, size - 1))
    ] |= not mask.any()
    return mask


def _walls(regions: npt.NDArray[Any], random: np.random.Generator) -> Mask:
    """What parts the regions, as membranes do cells; a line if there is one region."""
    mask = np.zeros(regions.shape, bool)
    mask[1:] |= regions[1:] != regions[:-1]
    mask[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    mask[len(mask) // 2] |= not mask.any()
    width = float(np.exp(random.uniform(0, np.log(max(len(mask) / 24, 1.5)))))
    wall: Mask = ndimage.distance_transform_edt(~mask) < width
    return wall


def _tree(size: int, random: np.random.Generator) -> Mask:
    """A branching tube, thinner with each branch."""
    mask = np.zeros((size, size), bool)
    start = random.uniform(0.2, 0.8, 2) * size
    turn = float(random.uniform(0, 2 * np.pi))
    width = float(np.exp(random.uniform(np.log(0.8), np.log(size / 24))))
    waiting = [(start, turn, width, int(random.integers(1, 6)))]
    if random.random() < 0.7:
        waiting.append((start, turn + np.pi, width, int(random.integers(1, 5))))
    bend = float(random.uniform(0.02, 0.15))
    for _ in range(40):
        if not waiting:
            break
        at, turn, width, forks = waiting.pop(0)
        length = int(random.integers(size // 12, size // 2))
        angles = turn + np.cumsum(random.normal(0, bend, length))
        way = at + np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0)
        _stamp(mask, way, max(width, 0.8))
        for side in (-1, 1) if forks else ():
            angle = float(angles[-1]) + side * float(random.uniform(0.2, 0.9))
            thinner = width * float(random.uniform(0.6, 0.95))
            waiting.append((way[-1], angle, thinner, forks - 1))
    mask[size // 2, size // 2] |= not mask.any()
    return mask


def _stamp(mask: Mask, way: npt.NDArray[np.float64], radius: float) -> None:
    """Draw a disc round each place of the way."""
    reach = int(np.ceil(radius))
    disc = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    disc = disc[(disc**2).sum(1) <= radius**2]
    at = (np.rint(way).astype(int)[:, None] + disc).reshape(-1, 2)
    at = at[((at >= 0) & (at < mask.shape)).all(1)]
    mask[at[:, 0], at[:, 1]] = True
