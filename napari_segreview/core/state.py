"""All that the window shows, as one frozen fact, and how it is worked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_segreview.core.clicks import NO_CLICKS, Clicks
from napari_segreview.core.cohort_state import NO_COHORT, Cohort
from napari_segreview.core.improve import NOTHING_YET, Improve
from napari_segreview.core.objects import ObjectWish
from napari_segreview.core.work import NO_WORK, Work

if TYPE_CHECKING:
    from napari_segreview.core.error_table import Order
    from napari_segreview.core.objects import ObjectReport
    from napari_segreview.core.protocols import Device, LayerRef, Offer
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.study import Study
    from src_models.metrics import Report, SliceScores

OBJECT_WISH = ObjectWish()
JobKind = Literal[
    "open",
    "segment",
    "through",
    "compare",
    "errors",
    "objects",
    "report",
    "readers",
    "cohort",
    "names",
    "export",
    "improve",
    "doubt",
    "judge",
]
DOING = {
    "open": "Opening",
    "segment": "Segmenting",
    "compare": "Comparing",
    "errors": "Looking for the errors of",
    "objects": "Finding the objects of",
    "report": "Writing the report of",
    "readers": "Comparing",
    "cohort": "Scoring",
    "names": "Naming",
    "export": "Writing",
    "through": "Going through the slices of",
    "improve": "Improving on",
    "doubt": "Looking for doubts in",
    "judge": "Judging",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The job under way. Times in seconds of the monotonic clock."""

    kind: JobKind
    what: str
    started: float
    now: float
    done: int = 0
    total: int = 0
    note: str = ""
    stopping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the user chose, and what is so."""

    images: tuple[LayerRef, ...] = ()
    labels: tuple[LayerRef, ...] = ()
    scan_key: str = ""
    scan: Scan | None = None
    scan_fault: str = ""
    misfits: tuple[str, ...] = ()  # labels in use that do not lie on its voxels
    offers: tuple[Offer, ...] = ()
    model: str = ""
    samples: tuple[tuple[str, str], ...] = ()  # key, title
    devices: tuple[Device, ...] = ()
    device: str = ""
    mirror: bool = False
    prediction: str = ""
    reference: str = ""
    tolerance: float = 2.0
    resample: bool = False  # where the grids of prediction and reference differ
    report: Report | None = None
    slices: SliceScores | None = None  # of the report; counts only while that is there
    worst_by: Order = "volume"
    spot: int = -1  # the row of the errors that was visited last
    object_wish: ObjectWish = OBJECT_WISH
    objects: ObjectReport | None = None
    study: Study | None = None
    running: Running | None = None
    work: Work = NO_WORK
    clicks: Clicks = NO_CLICKS
    improve: Improve = NOTHING_YET
    cohort: Cohort = NO_COHORT
    named: str = ""  # the labels whose names are shown
    said: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What the widgets show, worked out from `State` alone."""

    facts: str
    warnings: tuple[str, ...]
    offer: Offer | None
    may_segment: bool
    why_not_segment: str
    may_mirror: bool
    may_compare: bool
    why_not_compare: str
    tolerance_unit: str
    busy: bool
    may_cancel: bool
    fraction: float | None
    status: str
    is_fault: bool


def view(state: State) -> View:
    """Pure: the same state gives the same view."""
    offer = next((one for one in state.offers if one.name == state.model), None)
    busy = state.running is not None
    no_segment = _why_not_segment(state, offer)
    no_compare = _why_not_compare(state)
    fraction, status = _progress(state)
    return View(
        facts=state.scan.facts() if state.scan else state.scan_fault,
        warnings=(*(state.scan.warnings if state.scan else ()), *state.misfits),
        offer=offer,
        may_segment=not no_segment and not busy,
        why_not_segment=no_segment,
        may_mirror=offer is not None and offer.mirrors,
        may_compare=not no_compare and not busy,
        why_not_compare=no_compare,
        tolerance_unit=state.scan.grid.unit if state.scan else "mm",
        busy=busy,
        may_cancel=state.running is not None and not state.running.stopping,
        fraction=fraction,
        status=status,
        is_fault=bool(state.fault) and not busy,
    )


def _why_not_segment(state: State, offer: Offer | None) -> str:
    if state.scan is None:
        return state.scan_fault or "Open a scan first."
    if offer is None:
        return "Choose a model."
    return offer.reason


def _why_not_compare(state: State) -> str:
    if len(state.labels) < 2:
        return "Two Labels layers are needed: the prediction and the reference."
    if not state.prediction or not state.reference:
        return "Choose a prediction and a reference."
    if state.prediction == state.reference:
        return "Choose two different Labels layers."
    return ""


def _progress(state: State) -> tuple[float | None, str]:
    """(share done, None if unknown; the line below the panels)."""
    job = state.running
    if job is None:
        return None, state.fault or state.said
    doing = f"{DOING[job.kind]} {job.what}"
    if job.stopping:
        return None, f"{doing}: stopping…"
    if not job.total or not job.done:
        return None, f"{doing}…"
    left = (job.now - job.started) / job.done * (job.total - job.done)
    return job.done / job.total, f"{doing}: {job.note}, {in_words(left)} left"


def in_words(seconds: float) -> str:
    """A duration at the precision a person needs: "8 s", "2 min 10 s", "1 h 5 min"."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"
