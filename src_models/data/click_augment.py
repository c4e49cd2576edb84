"""Random grey values, noise and sharpness, far wider than for one kind of scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.data.click_shapes import smooth_noise

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]


def recoloured(image_CS: Floats, random: np.random.Generator) -> Floats:
    """A picture (3, y, x) or volume (1, z, y, x) in [0, 1], changed at random.

    Sides are equal; shape and range stay.
    """
    for chance, change in (
        (0.25, _mixed),
        (0.15, _remapped),
        (0.5, _gamma),
        (0.4, _contrast),
        (0.2, _shaded),
        (0.15, _blurred),
        (0.1, _coarse),
        (0.3, _noisy),
        (0.08, _speckled),
        (0.15, _inverted),
    ):
        if random.random() < chance:
            image_CS = np.clip(change(image_CS, random), 0, 1)
    return image_CS.astype(np.float32, copy=False)


def _mixed(image: Floats, random: np.random.Generator) -> Floats:
    """Channels swapped, or mixed to grey."""
    if random.random() < 0.5:
        return image[random.permutation(len(image))]
    weight = random.dirichlet((1,) * len(image)).astype(np.float32)
    grey = np.tensordot(weight, image, 1)
    return np.broadcast_to(grey, image.shape)


def _remapped(image: Floats, random: np.random.Generator) -> Floats:
    """Greys by a random curve, which need not rise."""
    knots = np.linspace(0, 1, int(random.integers(4, 9)))
    levels = random.random(len(knots))
    if random.random() < 0.6:
        levels = np.sort(levels)
    return np.interp(image, knots, levels).astype(np.float32)


def _gamma(image: Floats, random: np.random.Generator) -> Floats:
    power: Floats = image ** np.float32(np.exp(random.uniform(-0.7, 0.7)))
    return power


def _contrast(image: Floats, random: np.random.Generator) -> Floats:
    factor, shift = random.uniform(0.5, 1.4), random.uniform(-0.2, 0.2)
    return (image - 0.5) * np.float32(factor) + np.float32(0.5 + shift)


def _shaded(image: Floats, random: np.random.Generator) -> Floats:
    """Uneven light, or a coil's bias field."""
    cells, ndim = int(random.integers(2, 5)), image.ndim - 1
    field = smooth_noise(image.shape[-1], cells, random, ndim=ndim)
    light: Floats = np.exp(np.float32(random.uniform(0.1, 0.4)) * field)
    return image * light


def _blurred(image: Floats, random: np.random.Generator) -> Floats:
    width = float(random.uniform(0.4, 2.0))
    axes = range(1, image.ndim)
    blurred: Floats = ndimage.gaussian_filter(image, width, truncate=3, axes=axes)
    return blurred


def _coarse(image: Floats, random: np.random.Generator) -> Floats:
    """As if scanned with fewer pixels."""
    step = int(random.integers(2, 5))
    for axis in range(1, image.ndim):
        kept = np.arange(image.shape[axis]) // step * step
        image = image.take(kept, axis)
    return image


def _noisy(image: Floats, random: np.random.Generator) -> Floats:
    shape = image.shape if random.random() < 0.3 else (1, *image.shape[1:])
    noise = random.standard_normal(shape, np.float32)
    return image + np.float32(random.uniform(0.01, 0.1)) * noise


def _speckled(image: Floats, random: np.random.Generator) -> Floats:
    """Noise that grows with the signal, as in ultrasound."""
    noise = random.standard_normal((1, *image.shape[1:]), np.float32)
    grain: Floats = 1 + np.float32(random.uniform(0.1, 0.4)) * noise
    return image * grain


def _inverted(image: Floats, random: np.random.Generator) -> Floats:
    return 1 - image
