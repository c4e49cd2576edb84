"""Small beating discs, and recipes that follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from zoo import ball, make_recipe

from src_models.card import NetSpec
from src_models.data.cases import Case
from src_models.data.splits import Split
from src_models.training.config import Patches
from src_models.training.method_spec import MethodSpec

if TYPE_CHECKING:
    from src_models.training.config import Recipe

FRAMES = 6
NET = NetSpec(
    system="unet-convlstm",
    ndim=2,
    in_channels=1,
    classes=2,
    options={"widths": (4, 6), "hidden": 3, "norm": "instance"},
)


def beat(
    name: str = "a",
    *,
    frames: int = FRAMES,
    side: int = 24,
    known: tuple[int, ...] | None = None,
    noise: float = 0.2,
) -> Case:
    """A disc that shrinks, moves and comes back; labels of the known frames (all)."""
    random = np.random.default_rng([ord(letter) for letter in name])
    y, x = random.uniform(-2, 2, 2)
    phases = 2 * np.pi * np.arange(frames) / frames
    truth = np.stack(
        [
            ball(side, 2, side / 6 * (1.2 + 0.4 * np.cos(p)), y=y + np.sin(p), x=x)
            for p in phases
        ]
    )
    shade = np.linspace(0, 0.5, side)  # so that there is something elsewhere, too
    image = truth + shade + random.normal(0, noise, truth.shape)
    labels = truth.astype(np.int16)
    if known is not None:
        labels[np.isin(np.arange(frames), known, invert=True)] = -1
    return Case(name, name, image[None].astype("f4"), labels, (1.0, 1.0))


def beats(**changed: Any) -> Split:
    made = [beat(name, **changed) for name in "abcdef"]
    return Split(tuple(made[:3]), tuple(made[3:4]), tuple(made[4:]))


def beat_recipe(
    method: str = "",
    options: dict[str, Any] | None = None,
    net: NetSpec = NET,
    **train: Any,
) -> Recipe:
    """Seconds of work: clips of 3 frames of 16 × 16."""
    recipe = make_recipe(**{"steps": 2, **train})
    return recipe.model_copy(
        update={
            "net": net,
            "cyclic": True,
            "patches": Patches(size=(3, 16, 16), batch=2, foreground=1),
            "method": MethodSpec(name=method, options=options or {})
            if method
            else None,
        }
    )
