"""What a recipe says of the random changes. Wakes neither torch nor MONAI."""

from __future__ import annotations

from pydantic import Field

from src_models.card import Record


class Augment(Record):
    """Random changes; each 0 or empty is off. Angles in degrees, shares in 0..1."""

    mirror_axes: tuple[int, ...] = ()
    rotate: float = Field(default=15, ge=0)
    scale: float = Field(default=0.15, ge=0, lt=1)
    elastic: float = Field(default=0, ge=0)
    gamma: float = Field(default=0.3, ge=0, lt=1)
    brightness: float = Field(default=0.2, ge=0)
    noise: float = Field(default=0.1, ge=0)
    blur: float = Field(default=1.0, ge=0)
    low_resolution: float = Field(default=0.5, ge=0, lt=1)
