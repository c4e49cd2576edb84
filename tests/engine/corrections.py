"""Discs on noise, as scans whose labels were corrected; a model that is to be improved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tiny_model import save_tiny

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.engine.case_store import Corrected, corrected
from napari_segreview.engine.models import install
from src_models.training.finetune import Tuning

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 24
QUICK = Tuning(steps=60, learning_rate=4e-3, checks=3)


def disc(
    seed: int, *, value: int = 1, patient: str = "", spoil: bool = False
) -> Corrected:
    """A bright disc; `spoil` draws the labels as their opposite."""
    random = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    middle = random.uniform(9, 14, 2)
    truth = (
        (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < random.uniform(16, 36)
    ).astype(np.uint8)
    image = (3 * truth + random.normal(0, 0.3, truth.shape)).astype(np.float32)
    grid = Grid.from_spacing(truth.shape, (1.0, 1.0), "px")
    table = LabelTable.of({1: "blob", 2: "second"})
    drawn = ((1 - truth) if spoil else truth) * np.uint8(value)
    labels = LabelMap(data=drawn, grid=grid, table=table, name="working")
    scan = Scan(data=image, grid=grid, name="Jane Doe")
    return corrected(scan, labels, np.ones(truth.shape, bool), patient)


def discs(*seeds: int, spoil: bool = False) -> tuple[Corrected, ...]:
    return tuple(disc(seed, spoil=spoil) for seed in seeds)


def installed(folder: Path) -> str:
    """The name of a model with random weights."""
    return install(save_tiny(folder / "untrained", ndim=2))
