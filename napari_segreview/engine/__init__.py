"""A session's wish → a generator over the zoo. Torch wakes when a model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.engine.device import devices
from napari_segreview.engine.evaluate import compare
from napari_segreview.engine.models import install
from napari_segreview.engine.offers import offers
from napari_segreview.engine.predict import segment
from napari_segreview.engine.through import through

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.prompts import Plane
    from napari_segreview.core.protocols import (
        Device,
        Mask,
        Offer,
        Question,
        Segmentation,
        Wish,
    )
    from napari_segreview.core.scan import Scan
    from src_models.metrics import Report
    from src_models.progress import Progress


class LocalEngine:
    """Bundled and own models, on this machine.

    Parameters
    ----------
    clicks : ClickEngine, optional
        Answers clicks; with the bundled predictor if not given.
    """

    def __init__(self, clicks: ClickEngine | None = None) -> None:
        self._clicks = clicks or ClickEngine()

    def offers(self, scan: Scan | None) -> tuple[Offer, ...]:
        return offers(scan)

    def add_model(self, folder: Path) -> str:
        return install(folder)

    def devices(self) -> tuple[Device, ...]:
        return devices()

    def segment(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, Segmentation]:
        return segment(scan, wish)

    def warm(self) -> None:
        self._clicks.warm()

    def answer(self, question: Question) -> Mask:
        return self._clicks.answer(question)

    def through(
        self, scan: Scan, masks: Mapping[Plane, Mask]
    ) -> Generator[Progress, None, dict[Plane, Mask]]:
        return through(self._clicks, scan, masks)

    def score(
        self, prediction: LabelMap, reference: LabelMap, tolerance: float
    ) -> Generator[Progress, None, Report]:
        return compare(prediction, reference, tolerance)
