"""Cohorts for the window: files found, scored, read, written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from napari_segreview._cohort import cases_in, score_cohort
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_segreview.core.cohort import CaseFiles, CaseScore
    from napari_segreview.core.cohort_state import CohortWish
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan


def own_folder() -> Path:
    """Where finished cases are kept, under hashes of their contents, without names."""
    return user_data_path("napari-segreview") / "cohorts"


class FileScorer:
    """Cohorts of files on this machine."""

    def cases(self, wish: CohortWish) -> Sequence[CaseFiles]:
        if wish.predictions is None:
            raise InputError(wish.missing)
        if wish.is_list:
            return cases_in(wish.predictions, None)
        return cases_in(wish.predictions, wish.references, wish.second, wish.images)

    def score(
        self, cases: Sequence[CaseFiles], wish: CohortWish
    ) -> Generator[Progress, None, tuple[CaseScore, ...]]:
        own_folder().parent.mkdir(parents=True, exist_ok=True)
        return (
            yield from score_cohort(
                cases, own_folder(), tolerance=wish.tolerance, resample=wish.resample
            )
        )

    def read(self, case: CaseFiles) -> Generator[Progress, None, list[Scan | LabelMap]]:
        found: list[Scan | LabelMap] = []
        if case.image is not None:
            yield Progress(0, 4, "image")
            found.append(replace(read_one(case.image), name=case.case))
        for at, (what, path) in enumerate(
            {
                "reference": case.reference,
                "second model": case.second,
                "prediction": case.prediction,
            }.items(),
            1,
        ):
            if path is not None:
                yield Progress(at, 4, what)
                found.append(replace(read_labels(path), name=f"{case.case} · {what}"))
        return found

    def write(
        self, scores: Sequence[CaseScore], wish: CohortWish, path: Path
    ) -> Generator[Progress, None, Path]:
        from napari_segreview.engine.cohort_page import write_cohort

        yield Progress(0, 1, path.name)
        return write_cohort(scores, path, wish.models, with_names=wish.names)
