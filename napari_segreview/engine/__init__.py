"""A session's wish → a generator over the zoo. Torch wakes when a model runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_segreview.core.protocols import VersionRow, Wish
from napari_segreview.engine.case_store import corrected
from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.engine.device import devices
from napari_segreview.engine.evaluate import error_maps, review
from napari_segreview.engine.models import install
from napari_segreview.engine.objects import find_objects
from napari_segreview.engine.offers import offers
from napari_segreview.engine.predict import segment
from napari_segreview.engine.readers import consensus, study
from napari_segreview.engine.through import through
from napari_segreview.engine.versions import (
    activate,
    export,
    listed,
    take,
    version_folder,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.objects import ObjectReport, ObjectWish
    from napari_segreview.core.prompts import Plane
    from napari_segreview.core.protocols import (
        Device,
        Doubts,
        Improved,
        Mask,
        Offer,
        Question,
        Segmentation,
        TuneWish,
    )
    from napari_segreview.core.review import ErrorMaps, Review
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.study import Consensus, Study
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

    def review(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        tolerance: float,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, Review]:
        return review(prediction, reference, tolerance, resample=resample)

    def error_maps(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        tolerance: float,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, ErrorMaps]:
        return error_maps(prediction, reference, tolerance, resample=resample)

    def find_objects(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        wish: ObjectWish,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, ObjectReport]:
        return find_objects(prediction, reference, wish, resample=resample)

    def study(
        self, maps: Mapping[str, LabelMap], model: str, tolerance: float
    ) -> Generator[Progress, None, Study]:
        return study({"case": lambda: maps}, model=model, tolerance=tolerance)

    def consensus(
        self, maps: Mapping[str, LabelMap]
    ) -> Generator[Progress, None, Consensus]:
        return consensus(maps)

    def report(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        scan: Scan | None,
        tolerance: float,
        model: str,
        path: Path,
        *,
        resample: bool = False,
        objects: ObjectReport | None = None,
    ) -> Generator[Progress, None, Path]:
        from napari_segreview.engine.case_report import write_case

        return write_case(
            prediction,
            reference,
            scan,
            path,
            tolerance=tolerance,
            model=model,
            resample=resample,
            objects=objects,
        )

    def improve(
        self, scan: Scan, labels: LabelMap, checked: Mask, wish: TuneWish
    ) -> Generator[Progress, None, Improved]:
        began = time.monotonic()  # waking torch is part of the budget
        from napari_segreview.engine.finetune import improve_on

        return (yield from improve_on(corrected(scan, labels, checked), wish, began))

    def versions(self, model: str) -> tuple[VersionRow, ...]:
        return listed(model)

    def activate(self, model: str, version: str) -> None:
        activate(model, version)

    def compare_versions(
        self, model: str, version: str, device: str
    ) -> Generator[Progress, None, tuple[str, ...]]:
        from napari_segreview.engine.judging import compare_kept  # wakes torch

        return (yield from compare_kept(model, version, device))

    def export_version(self, model: str, version: str, path: Path) -> None:
        export(model, version, path)

    def take_version(self, model: str, path: Path) -> str:
        return take(model, path)

    def version_wish(self, model: str, version: str, device: str) -> Wish:
        return Wish(model=str(version_folder(model, version)), device=device)

    def doubts(self, scan: Scan, wish: Wish) -> Generator[Progress, None, Doubts]:
        from napari_segreview.engine.doubts import doubts  # wakes torch

        return (yield from doubts(scan, wish))
