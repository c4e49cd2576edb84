"""What the window shows of improving a model, and how it is worked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segreview.core.reviews import checked_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    queue : tuple of int
        Planes along the first axis to correct next, the most doubtful first.
    """

    marks: tuple[tuple[str, Marks], ...] = ()
    said: str = ""
    budget_minutes: float = 3.0
    loss: str = LOSSES[0]
    points: tuple[Point, ...] = ()
    verdict: str = ""
    versions: tuple[VersionRow, ...] = ()
    queue: tuple[int, ...] = ()

    def marks_of(self, key: str) -> Marks:
        return dict(self.marks).get(key, ())


NOTHING_YET = Improve()


def in_words(marks: Marks, labels: LabelMap) -> str:
    """E.g. "3 of 120 slices checked"; parts of slices are named too."""
    done, total = checked_slices(marks, labels.data.shape, has_time=labels.has_time)
    regions = sum(mark.kind == "box" for mark in marks)
    if not marks:
        return "Nothing is checked yet: mark what you have corrected."
    more = f" and {regions} region(s)" if regions else ""
    return f"{done} of {total} slices{more} checked"


def verdict_of(improved: Improved) -> str:
    """The decision and why, in a few lines."""
    return "\n".join(
        (
            f"Candidate {improved.version}: {PLAIN[improved.standing]}.",
            *improved.reasons,
        )
    )


def most_doubtful(doubts: Sequence[float], checked: set[int]) -> tuple[int, ...]:
    """Planes that were not checked yet, by falling doubt; none without any doubt."""
    order = sorted(range(len(doubts)), key=lambda plane: -doubts[plane])
    return tuple(plane for plane in order if doubts[plane] > 0 and plane not in checked)
