"""A session's wish → a generator over the zoo. Torch wakes when a model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.protocols import VersionRow, Wish
from napari_segreview.engine.case_store import corrected
from napari_segreview.engine.device import devices
from napari_segreview.engine.evaluate import compare
from napari_segreview.engine.models import install
from napari_segreview.engine.offers import offers
from napari_segreview.engine.predict import segment
from napari_segreview.engine.versions import activate, listed, version_folder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.protocols import (
        Device,
        Improved,
        Offer,
        Segmentation,
        TuneWish,
    )
    from napari_segreview.core.reviews import Mask
    from napari_segreview.core.scan import Scan
    from src_models.metrics import Report
    from src_models.progress import Progress


class LocalEngine:
    """Bundled and own models, on this machine."""

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

    def score(
        self, prediction: LabelMap, reference: LabelMap, tolerance: float
    ) -> Generator[Progress, None, Report]:
        return compare(prediction, reference, tolerance)

    def improve(
        self, scan: Scan, labels: LabelMap, checked: Mask, wish: TuneWish
    ) -> Generator[Progress, None, Improved]:
        from napari_segreview.engine.finetune import improve_on  # wakes torch

        return (yield from improve_on(corrected(scan, labels, checked), wish))

    def versions(self, model: str) -> tuple[VersionRow, ...]:
        return listed(model)

    def activate(self, model: str, version: str) -> None:
        activate(model, version)

    def version_wish(self, model: str, version: str, device: str) -> Wish:
        return Wish(model=str(version_folder(model, version)), device=device)

    def doubts(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, tuple[float, ...]]:
        from napari_segreview.engine.doubts import doubts  # wakes torch

        return (yield from doubts(scan, wish))
