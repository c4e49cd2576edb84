"""One case as a page with pictures, with its scores as CSV and JSON beside it."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from napari_segreview import __version__
from napari_segreview.core.charts import strip_chart
from napari_segreview.core.error_table import (
    ErrorSpot,
    amount,
    strip,
    table_of_errors,
    where,
    worst,
)
from napari_segreview.core.objects import MEANINGS, object_table, thing_table
from napari_segreview.core.report_table import table_of
from napari_segreview.engine import page
from napari_segreview.engine.evaluate import reviewed
from napari_segreview.engine.models import models
from napari_segreview.engine.pairing import RESAMPLE, Pairing, check_grids, paired_up
from napari_segreview.engine.pictures import Cut, across_and_down, outlined
from napari_segreview.engine.regrid import image_onto
from src_models.card import find_model, read_card
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.objects import ObjectReport
    from napari_segreview.core.review import Review
    from napari_segreview.core.scan import Scan
    from src_models.metrics import SliceScores

PICTURES, APART = 6, 3  # how many; slices between two of one structure
ROWS, CHARTS = 20, 12


def write_case(
    prediction: LabelMap,
    reference: LabelMap,
    scan: Scan | None,
    path: Path,
    *,
    tolerance: float = 2.0,
    model: str = "",
    with_names: bool = False,
    resample: bool = False,
    objects: ObjectReport | None = None,
) -> Generator[Progress, None, Path]:
    """Write ``path`` (.html) and the same name as .csv and .json; returns the page.

    Parameters
    ----------
    scan : Scan or None
        What the labels were drawn on, on their grid; None: outlines on black.
    model : str
        Name of the model that made the prediction, for its title and its weights' hash.
    with_names : bool
        Whether names of layers and files are told. They may name a patient.
    resample : bool
        Bring prediction and image onto the reference's grid where they are on another;
        the page says so.
    objects : ObjectReport, optional
        Of the same pair: told in a section of its own.

    Raises
    ------
    InputError
        If grids differ, there is no such model, or the files cannot be written.
    """
    path = checked_page(path)
    if not resample:
        check_grids(prediction, reference, or_else=RESAMPLE)
    settings = model_facts(model)
    if not with_names:
        prediction = replace(prediction, name="prediction")
        reference = replace(reference, name="reference")
    if scan is not None:
        scan = _on_grid(scan, reference, resample)
    pair = yield from paired_up(prediction, reference, resample=resample)
    found = yield from reviewed(pair, tolerance)
    spots = worst(found.slices)
    shown = list(_apart(spots))[:PICTURES]
    pictures = []
    for at, spot in enumerate(shown):
        yield Progress(at, len(shown), f"picture of {spot.name}")
        pictures.append(
            (_picture(spot, found.slices, scan, pair), _caption(spot, found.slices))
        )
    told = _geometry(scan, reference, with_names) | settings
    told |= {"Tolerance": f"{tolerance:g} {reference.grid.unit}"} | versions()
    hung = across_and_down(reference.grid)
    title = f"Segmentation report: {prediction.name} against {reference.name}"
    parts = [
        page.facts(told),
        *_scores(found),
        *_objects(objects),
        *_worst(found.slices, spots, pictures, hung),
        *_charts(found.slices),
        *_meanings(found, with_objects=objects is not None),
    ]
    page.write(path, page.page(title, parts))
    found.report.to_csv(path.with_suffix(".csv"))
    page.write(path.with_suffix(".json"), found.report.to_json())
    return path


def checked_page(path: Path) -> Path:
    """The path with ".html", if something can be written there as far as one can see.

    Raises
    ------
    InputError
    """
    path = path if path.suffix else path.with_suffix(".html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a page (.html) is written, got {path.suffix}")
    if not path.parent.is_dir():
        raise InputError(
            f"{path.parent}: there is no such folder to write the report to; make it "
            "first, or choose another"
        )
    if path.is_dir():
        raise InputError(f"{path}: there is a folder of that name; choose another name")
    return path


def versions() -> dict[str, str]:
    """What the numbers were made with, and when."""
    import numpy
    import scipy

    return {
        "Program": f"SegReview {__version__}, Python {platform.python_version()}, "
        f"numpy {numpy.__version__}, scipy {scipy.__version__}",
        "Written": date.today().isoformat(),
        "Use": "Research use, not a diagnosis.",
    }


def _on_grid(scan: Scan, labels: LabelMap, resample: bool) -> Scan:
    """The image on the grid of the labels.

    Raises
    ------
    InputError
        If it is on another one and may not be resampled, or has other frames.
    """
    if resample and scan.grid.difference(labels.grid):
        scan = image_onto(scan, labels.grid)
    apart = scan.grid.difference(labels.grid)
    if not apart and scan.has_time != labels.has_time:
        apart = "only one of them has frames"
    if not apart and labels.has_time and scan.frames != len(labels.data):
        apart = f"{scan.frames} frames against {len(labels.data)}"
    if apart:
        raise InputError(
            f"the image {scan.name} and the labels {labels.name} lie on different grids "
            f"({apart}); choose the image that the labels were drawn on"
        )
    return scan


def model_facts(name: str, which: str = "Model") -> dict[str, str]:
    """What made the labels: title, name and the hash of the weights.

    Raises
    ------
    InputError
        If there is no such model.
    """
    if not name:
        return {which: "not known"}
    card = read_card(find_model(name, models()))
    return {which: f"{card.title} ({card.name}), weights SHA-256 {card.sha256}"}


def _geometry(scan: Scan | None, labels: LabelMap, with_names: bool) -> dict[str, str]:
    grid = labels.grid
    size = "×".join(str(side) for side in grid.shape[::-1])
    step = "×".join(f"{step:.4g}" for step in grid.spacing[::-1])
    told = {"Grid": f"{size} voxels (x, y, z) of {step} {grid.unit}"}
    if labels.has_time:
        told["Frames"] = str(len(labels.data))
    if grid.orientation:
        oblique = ", oblique" if grid.is_oblique else ""
        told["Orientation"] = f"x, y, z run to {', '.join(grid.orientation)}{oblique}"
    if scan is None:
        return told | {"Image": "none: outlines are on black"}
    return {"Image": scan.name if with_names else "name left out"} | told | {
        "Modality": scan.modality or "not known"
    }  # fmt: skip


def _apart(spots: tuple[ErrorSpot, ...]) -> Iterator[ErrorSpot]:
    """The worst of each neighbourhood of slices."""
    taken: list[tuple[int, int, int]] = []
    for spot in spots:
        near = (
            row == spot.row and frame == spot.frame and abs(at - spot.slice) < APART
            for row, frame, at in taken
        )
        if not any(near):
            taken.append((spot.row, spot.frame, spot.slice))
            yield spot


def _picture(
    spot: ErrorSpot,
    slices: SliceScores,
    scan: Scan | None,
    pair: Pairing,
) -> bytes:
    cut = Cut.of(pair.reference.grid, spot.index)
    value = slices.values[spot.row]
    both = pair.prediction, pair.reference
    mine, theirs = (cut.take(one.data) == value for one in both)
    return outlined(scan, mine, theirs, cut)


def _scores(found: Review) -> Iterator[str]:
    yield page.heading("Scores")
    for said in found.report.notes:
        yield page.note(f"⚠ {said}")
    yield page.table(table_of(found.report))
    yield page.note("In brackets: by the rule for empty labels, not measured.")


def _objects(report: ObjectReport | None) -> Iterator[str]:
    if report is None:
        return
    yield page.heading("Objects")
    yield page.table(object_table(report))
    yield page.note(f"Objects: {report.wish.words}.")
    wrong = [one for one in report.things if one.kind != "found"]
    if wrong:
        yield page.table(thing_table(replace(report, things=tuple(wrong[:ROWS]))))
    if len(wrong) > ROWS:
        yield page.note(f"The {ROWS} largest of {len(wrong)} missed or false objects.")


def _meanings(found: Review, *, with_objects: bool) -> Iterator[str]:
    headers = found.report.headers
    yield page.heading("What the numbers mean")
    told = {headers[key]: said for key, said in found.report.definitions.items()}
    yield page.definitions(told | (MEANINGS if with_objects else {}))


def _worst(
    slices: SliceScores,
    spots: tuple[ErrorSpot, ...],
    pictures: list[tuple[bytes, str]],
    hung: str,
) -> Iterator[str]:
    yield page.heading("Worst slices")
    if not spots:
        yield page.note("No slice has a wrong voxel.")
        return
    yield page.legend()
    yield page.figures(pictures)
    if hung:
        yield page.note(f"Pictures hang as in the window: {hung}.")
    yield page.heading("Slices by false volume")
    yield page.table(table_of_errors(spots[:ROWS], slices))


def _charts(slices: SliceScores) -> Iterator[str]:
    """Strips of the structures with the largest false volume."""
    if slices.dice[:1].size <= 1:
        return
    yield page.heading("Dice per slice")
    false = slices.false_volume.sum((1, 2))
    rows = sorted(range(len(false)), key=lambda row: -false[row])
    for row in rows[:CHARTS]:
        name = slices.names[row]
        yield page.chart(strip_chart(strip(slices, row), name), name)
    if len(rows) > CHARTS:
        yield page.note(f"The {CHARTS} structures of {len(rows)} with most errors.")


def _caption(spot: ErrorSpot, slices: SliceScores) -> str:
    place = where(spot, slices)
    return (
        f"{spot.name}{', ' if place else ''}{place}: Dice {spot.dice:.3f}, false "
        f"{amount(spot.false_volume)} {slices.volume_unit}, surface up to "
        f"{spot.farthest:.1f} {slices.unit} off"
    )
