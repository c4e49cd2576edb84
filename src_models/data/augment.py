"""Random changes of image and labels together, by MONAI's transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from monai import transforms as mt

if TYPE_CHECKING:
    from src_models.data.options import Augment

BOTH = ("image", "labels")
IMAGE = ("image",)


def augmentation(
    wish: Augment, ndim: int, *, frames: bool = False
) -> mt.Compose | OverFrames:
    """Transforms of {"image": (C, *S), "labels": (1, *S)}; same shapes out.

    Space first (labels by nearest neighbour), then grey values (image only). `frames`: S
    has time before its `ndim` axes; every frame is changed alike.
    """
    steps: list[Any] = []
    if wish.rotate or wish.scale:
        turn = [np.radians(wish.rotate)] * (3 if ndim == 3 else 1)
        steps.append(
            mt.RandAffined(
                keys=BOTH,
                prob=0.6,
                rotate_range=turn,
                scale_range=[wish.scale] * ndim,
                mode=("bilinear", "nearest"),
                padding_mode="reflection",
            )
        )
    if wish.elastic:
        steps.append(_elastic(wish.elastic, ndim))
    steps += [
        mt.RandFlipd(keys=BOTH, prob=0.5, spatial_axis=axis)
        for axis in wish.mirror_axes
    ]
    if wish.low_resolution:
        steps.append(
            mt.RandSimulateLowResolutiond(
                keys=IMAGE,
                prob=0.15,
                zoom_range=(1 - wish.low_resolution, 1.0),
                upsample_mode="bilinear" if ndim == 2 else "trilinear",
            )
        )
    if wish.blur:
        widths = {f"sigma_{axis}": (0.3, wish.blur) for axis in "xyz"}
        steps.append(mt.RandGaussianSmoothd(keys=IMAGE, prob=0.15, **widths))
    if wish.brightness:
        steps += [
            mt.RandScaleIntensityd(keys=IMAGE, prob=0.3, factors=wish.brightness),
            mt.RandShiftIntensityd(keys=IMAGE, prob=0.3, offsets=wish.brightness),
        ]
    if wish.gamma:
        span = (1 - wish.gamma, 1 / (1 - wish.gamma))
        steps.append(
            mt.RandAdjustContrastd(keys=IMAGE, prob=0.3, gamma=span, retain_stats=True)
        )
    if wish.noise:
        steps.append(mt.RandGaussianNoised(keys=IMAGE, prob=0.2, std=wish.noise))
    made = mt.Compose(steps)
    return OverFrames(made) if frames else made


class OverFrames:
    """Changes all frames of a sequence alike: to the transforms they are channels."""

    def __init__(self, steps: mt.Compose) -> None:
        self._steps = steps

    def set_random_state(self, seed: int) -> None:
        """As of the transforms."""
        self._steps.set_random_state(seed)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """{"image": (C, T, *S), "labels": (1, T, *S)} -> the same shapes."""
        flat = {name: one.flatten(0, 1) for name, one in sample.items()}
        found = self._steps(flat)
        return {name: found[name].reshape(one.shape) for name, one in sample.items()}


def _elastic(strength: float, ndim: int) -> mt.RandomizableTransform:
    """Smooth local shifts of up to `strength` voxels."""
    modes = {"mode": ("bilinear", "nearest"), "padding_mode": "reflection"}
    if ndim == 2:
        return mt.Rand2DElasticd(
            keys=BOTH,
            prob=0.2,
            spacing=(32, 32),
            magnitude_range=(0, strength),
            **modes,
        )
    return mt.Rand3DElasticd(
        keys=BOTH,
        prob=0.2,
        sigma_range=(5, 8),
        magnitude_range=(0, 55 * strength),
        **modes,
    )
