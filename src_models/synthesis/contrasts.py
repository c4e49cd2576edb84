"""Images painted from label maps, each in a contrast of its own.

Billot et al., "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution
without retraining", Medical Image Analysis 86, 2023, section 3.
https://arxiv.org/abs/2107.09559

Shape letters: C channels, S spatial axes (y, x or z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional as F

from src_models.blocks import LINEAR
from src_models.inference.intensity import normalise
from src_models.synthesis.warp import random_flow, smooth_noise, warp_labels

if TYPE_CHECKING:
    from monai.transforms import Compose
    from torch import Tensor

    from src_models.card import Intensity
    from src_models.synthesis.options import RandomContrasts

Image = npt.NDArray[np.float32]
PIECE, SHADE = 8, 20  # voxels between draws of background regions, and of shading


def regions(
    labels_S: npt.NDArray[Any], most: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(*S) region numbers, from 0: made-up parts of the background, then structures.

    Background and unknown voxels (labels ≤ 0) fall to the highest of up to `most` smooth
    random fields, so a net cannot learn that all but the structures is of one grey.
    """
    count = int(random.integers(1, most + 1))
    parts = smooth_noise(count, labels_S.shape, PIECE, random).argmax(0).numpy()
    found: npt.NDArray[np.int64] = np.where(labels_S > 0, labels_S + count - 1, parts)
    return found


def paint(
    labels_S: npt.NDArray[Any],
    options: RandomContrasts,
    random: np.random.Generator,
    channels: int = 1,
) -> Image:
    """Labels (*S) -> an image (C, *S) in about 0 … 1.

    Each region has a mean and a spread of its own in each channel; then shading, gamma,
    blur, coarse voxels and noise.
    """
    where = regions(labels_S, options.regions, random)
    count = int(where.max()) + 1
    image = np.stack([_mixture(where, count, options, random) for _ in range(channels)])
    if options.bias:
        strength = random.uniform(0, options.bias)
        shading = smooth_noise(channels, labels_S.shape, SHADE, random).numpy()
        image *= np.exp(strength * shading)
    axes = tuple(range(1, image.ndim))
    low, high = image.min(axes, keepdims=True), image.max(axes, keepdims=True)
    image = (image - low) / np.maximum(high - low, 1e-6)
    image **= np.exp(options.gamma * random.standard_normal())
    image = _coarse(image, options, random)
    spread = random.uniform(0, options.noise)
    image += spread * random.standard_normal(image.shape, np.float32)
    return image.astype(np.float32)


def _mixture(
    where: npt.NDArray[np.int64],
    count: int,
    options: RandomContrasts,
    random: np.random.Generator,
) -> Image:
    """A Gaussian for each region."""
    means = random.uniform(0, 1, count).astype(np.float32)
    spreads = random.uniform(0, options.texture, count).astype(np.float32)
    drawn = random.standard_normal(where.shape, np.float32)
    image: Image = means[where] + spreads[where] * drawn
    return image


def _coarse(
    image_CS: Image, options: RandomContrasts, random: np.random.Generator
) -> Image:
    """Blurred, and as if scanned with larger voxels: along all axes, or one alone."""
    ndim = image_CS.ndim - 1
    width = random.uniform(0, options.blur)
    sides = np.ones(ndim)
    drawn = random.uniform(1, options.low_resolution)
    sides[slice(None) if random.random() < 0.5 else random.integers(ndim)] = drawn
    widths = np.hypot(width, 0.4 * (sides - 1))  # what a thick slice averages
    image: Image = ndimage.gaussian_filter(image_CS, (0, *widths), mode="nearest")
    shape = image_CS.shape[1:]
    small = tuple(max(1, round(n / side)) for n, side in zip(shape, sides, strict=True))
    if small == shape:
        return image
    mode = LINEAR[ndim]
    played = F.interpolate(torch.from_numpy(image)[None], small, mode="nearest-exact")
    back: Image = F.interpolate(played, shape, mode=mode)[0].numpy()
    return back


def as_input(image_CS: Image, intensity: Intensity) -> Image:
    """A painted image with grey values as the net is used to from real ones."""
    if intensity.kind == "window":
        return 2 * image_CS - 1
    return normalise(image_CS, intensity)


@dataclass(slots=True, eq=False)
class Painter:
    """Stands where the loader's changes stand: {"image", "labels"} in, the same out.

    Of the image nothing but its shape is used, unless it stays real by the options.
    """

    options: RandomContrasts
    intensity: Intensity
    ordinary: Compose
    _random: np.random.Generator = field(default_factory=np.random.default_rng)

    def set_random_state(self, seed: int) -> None:
        """All that is drawn next depends on the seed alone."""
        self._random = np.random.default_rng(seed)
        self.ordinary.set_random_state(seed)

    def __call__(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        """Image (C, *S) and labels (1 or 2, *S), deformed and painted."""
        options, random = self.options, self._random
        if random.random() < options.real:
            changed: dict[str, Tensor] = self.ordinary(data)
            return changed
        flow = random_flow(
            data["labels"].shape[1:],
            random,
            rotate=options.rotate,
            scale=options.scale,
            shear=options.shear,
            bend=options.bend,
        )
        kinds = data["labels"].long()
        moved = warp_labels(kinds, flow.expand(len(kinds), *flow.shape))
        image = paint(moved[0].numpy(), options, random, len(data["image"]))
        image = as_input(image, self.intensity)
        return {"image": torch.from_numpy(image), "labels": moved}
