"""Small cards, cases and recipes for the tests of the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.card import DataInfo, LabelScores, NetSpec, Scores, TrainedCard
from src_models.data.cases import Case
from src_models.training.config import Recipe

if TYPE_CHECKING:
    import numpy.typing as npt

COLOR = (0.9, 0.6, 0.0)


def labels(classes: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"value": value, "name": f"part {value}", "color": COLOR}
        for value in range(1, classes)
    )


def make_card(
    *, ndim: int = 2, in_channels: int = 1, classes: int = 2, **changed: Any
) -> TrainedCard:
    """A valid card of a compact U-Net; `changed` replaces fields."""
    scores = Scores(
        cases=1,
        mean_dice=0.9,
        tolerance=1,
        labels=(
            LabelScores(name="part", dice=0.9, dice_sd=0, hd95=1, assd=1, nsd=0.9),
        ),
    )
    fields: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "task": "discs",
        "wants": "a disc",
        "paper": "none",
        "reference": "https://example.org",
        "net": NetSpec(
            system="unet", ndim=ndim, in_channels=in_channels, classes=classes
        ),
        "labels": labels(classes),
        "modalities": ("OT",),
        "spacing": None,
        "orientation": "",
        "intensity": {"kind": "window", "window": (-1, 1)},  # leaves −1 … 1 as it is
        "patch": (16,) * ndim,
        "mirror_axes": (),
        "data": DataInfo(
            name="discs",
            licence="CC0",
            credit="",
            train=("a",),
            validation=("b",),
            locked=("c",),
        ),
        "validation": scores,
        "locked": scores,
        "precision": "float32",
        "sha256": "",
        "versions": {},
        "recipe": {},
    }
    return TrainedCard.model_validate(fields | changed)


def ball(side: int, ndim: int, radius: float, **at: float) -> npt.NDArray[np.uint8]:
    """A ball of 1 in a cube of 0; `at` moves its centre, by axis: y=2.5."""
    names = "zyx"[-ndim:]
    middle = [(side - 1) / 2 + at.get(name, 0.0) for name in names]
    grid = np.indices((side,) * ndim).astype(float)
    away = sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True))
    return (away <= radius**2).astype(np.uint8)


def discs(count: int, *, side: int = 24, seed: int = 0) -> list[Case]:
    """Bright discs on noise, one a case."""
    random = np.random.default_rng(seed)
    cases = []
    for i in range(count):
        y, x = random.uniform(-4, 4, 2)
        truth = ball(side, 2, random.uniform(4, 6), y=y, x=x)
        image = truth + random.normal(0, 0.2, truth.shape)
        name = f"disc{i:02d}"
        cases.append(Case(name, name, image[None].astype("f4"), truth, (1.0, 1.0)))
    return cases


def make_recipe(**train: Any) -> Recipe:
    """Seconds of work: 2 epochs of 4 steps; `train` replaces fields of the schedule."""
    return Recipe.model_validate(
        {
            "name": "discs",
            "about": {
                "title": "Discs",
                "task": "discs",
                "wants": "a disc",
                "modalities": ["OT"],
            },
            "data": {
                "folder": "discs",
                "images": "*.png",
                "labels": "{stem}.png",
                "name": "discs",
                "licence": "CC0",
                "credit": "made here",
                "validation": 0.2,
                "locked": 0.2,
            },
            "net": {"system": "unet", "ndim": 2, "in_channels": 1, "classes": 2},
            "labels": labels(2),
            "intensity": {"kind": "zscore"},
            "patches": {"size": [16, 16], "batch": 2},
            "augment": {"mirror_axes": [0, 1], "elastic": 1},
            "train": {
                "epochs": 2,
                "steps": 4,
                "learning_rate": 1e-3,
                "warmup": 2,
                "ema": 0.5,
                **train,
            },
        }
    )
