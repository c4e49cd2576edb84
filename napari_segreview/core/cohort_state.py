"""What the window shows of many cases, and how it is worked out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_segreview.core.cohort import box_groups, difference_table, summary_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.cohort import CaseFiles, CaseScore
    from napari_segreview.core.table import Table

Part = Literal["predictions", "references", "second", "images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortWish:
    """Which files are scored, and how.

    Attributes
    ----------
    predictions : Path or None
        A folder; or a CSV file that names all files, and the other three do not count.
    references, second, images : Path or None
        Folders; a case has the same file name in each.
    tolerance : float
        For the NSD; mm, or px for pictures.
    resample : bool
        Whether labels on another grid are brought onto the reference's.
    models : (str, str)
        Names of the models that made the first and the second labels, for the report;
        "" is not known.
    names : bool
        Whether the report tells the names of the cases.
    """

    predictions: Path | None = None
    references: Path | None = None
    second: Path | None = None
    images: Path | None = None
    tolerance: float = 2.0
    resample: bool = False
    models: tuple[str, str] = ("", "")
    names: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a CSV file names the files."""
        path = self.predictions
        return path is not None and path.suffix.lower() == ".csv"

    @property
    def missing(self) -> str:
        """What must still be chosen; "" if nothing."""
        if self.predictions is None:
            return "Choose a folder of predictions, or a CSV list of files."
        if self.references is None and not self.is_list:
            return "Choose the folder of the references."
        return ""


@dataclass(frozen=True, slots=True)
class Sums:
    """A scored cohort summed up; `boxes` are the Dice of the cases, by structure."""

    structures: Table
    compared: Table
    boxes: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Choices and results.

    Attributes
    ----------
    files : tuple of CaseFiles
        Of the latest run.
    scores : tuple of CaseScore
        Of the cases that are finished so far.
    sums : Sums or None
        Once all are.
    """

    wish: CohortWish = CohortWish()
    files: tuple[CaseFiles, ...] = ()
    scores: tuple[CaseScore, ...] = ()
    sums: Sums | None = None


NO_COHORT = Cohort()


def summed_up(scores: Sequence[CaseScore]) -> Sums:
    """The tables and the picture; the bootstrap takes a moment where there are many."""
    return Sums(summary_table(scores), difference_table(scores), box_groups(scores))


def standing(cohort: Cohort, *, is_running: bool) -> str:
    """Where the work stands, in a line; "" before it began."""
    if is_running or not cohort.files:
        return "" if cohort.files else cohort.wish.missing
    whole, done = len(cohort.files), len(cohort.scores)
    if cohort.sums is None:
        return (
            f"Stopped: {done} of {whole} cases are finished. Score again to go on; "
            "finished cases are kept."
        )
    failed = sum(bool(one.error) for one in cohort.scores)
    without = f", {failed} without a score (the table says why)" if failed else ""
    images = sum(one.image is not None for one in cohort.files)
    shown = f"; {images} with an image" if images else ""
    return f"{whole} cases{without}{shown}."
