"""What the window shows of improving a model, and how it is worked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segreview.core.reviews import checked_slices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.protocols import Improved, VersionRow
    from napari_segreview.core.reviews import Marks
    from src_models.progress import Point

BUDGETS = (1.0, 3.0, 10.0, 30.0)  # minutes
LOSSES = ("dice + ce", "dice + focal", "tversky", "lovasz + ce")
PLAIN = {
    "accepted": "better on the locked cases → now active",
    "rejected": "not better → the active model stays",
    "provisional": "provisional: usable on this scan, by choice; the active model stays",
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A plane of an open scan along its first axis, and the model's doubt in nats."""

    scan: str
    plane: int
    doubt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Improve:
    """Choices, marks and results.

    Attributes
    ----------
    marks : tuple of (layer key, Marks)
        Of the open label layers.
    said : str
        How much of the layer that is corrected was checked.
    points : tuple of Point
        The validation curve of the latest run.
    verdict : str
        Of the latest run, in words.
    versions : tuple of VersionRow
        Of the chosen model.
    queue : tuple of Spot
        Where to correct next, the most doubtful plane first.
    """

    marks: tuple[tuple[str, Marks], ...] = ()
    said: str = ""
    budget_minutes: float = 3.0
    loss: str = LOSSES[0]
    points: tuple[Point, ...] = ()
    verdict: str = ""
    versions: tuple[VersionRow, ...] = ()
    queue: tuple[Spot, ...] = ()

    def marks_of(self, key: str) -> Marks:
        return dict(self.marks).get(key, ())


NOTHING_YET = Improve()


def in_words(marks: Marks, labels: LabelMap) -> str:
    """E.g. "3 of 120 slices checked"; parts of slices are named too."""
    done, total = checked_slices(marks, labels.data.shape, has_time=labels.has_time)
    regions = sum(mark.kind == "box" for mark in marks)
    if not marks:
        return "Nothing is checked yet: mark what you have corrected."
    more = f" and {regions} region{'s' * (regions != 1)}" if regions else ""
    return f"{done} of {total} slices{more} checked"


def verdict_of(improved: Improved) -> str:
    """The decision and why, in a few lines."""
    return "\n".join(
        (
            f"Candidate {improved.version}: {PLAIN[improved.standing]}.",
            *improved.reasons,
        )
    )


def most_doubtful(
    doubts: Mapping[str, Sequence[float]], checked: Mapping[str, set[int]]
) -> tuple[Spot, ...]:
    """Planes of all scans that were not checked yet, by falling doubt; none without any.

    Both by the key of the scan; scans of which nothing is known to be checked may lack.
    """
    spots = [
        Spot(key, plane, doubt)
        for key, planes in doubts.items()
        for plane, doubt in enumerate(planes)
        if doubt > 0 and plane not in checked.get(key, ())
    ]
    return tuple(sorted(spots, key=lambda spot: -spot.doubt))


def queue_in_words(queue: Sequence[Spot], names: Mapping[str, str]) -> str:
    """E.g. "31 planes to look at, most in head (80 %), then neck (20 %)."."""
    if not queue:
        return "The model is sure everywhere that is not checked yet."
    sums = dict.fromkeys((spot.scan for spot in queue), 0.0)
    for spot in queue:
        sums[spot.scan] += spot.doubt
    line = f"{len(queue)} plane{'s' * (len(queue) != 1)} to look at"
    if len(sums) < 2:
        return f"{line}."
    whole = sum(sums.values())
    ranked = sorted(sums, key=lambda key: -sums[key])
    shares = [
        f"{names.get(key, '?')} ({100 * sums[key] / whole:.0f} %)" for key in ranked
    ]
    return f"{line}, most in {', then '.join(shares)}."
