"""The scores of one case: a row for each label, as CSV, as JSON."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src_models.errors import InputError
from src_models.metrics.columns import COLUMNS, Unit

if TYPE_CHECKING:
    from src_models.metrics.overlap import Case

FORMAT = "segreview scores 2"


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's numbers; `COLUMNS` says what each is and what it is when empty.

    Attributes
    ----------
    value, name : int, str
        The label's value in the arrays (≥ 1) and its name.
    case : str
        Which of the two is empty: a number of an empty label is a rule, not a measure.
    dice, iou, sensitivity, specificity, precision, nsd, boundary_iou : float
        In [0, 1].
    hd95, assd : float
        ≥ 0, in the report's unit.
    volume_prediction, volume_reference : float
        ≥ 0, in the report's unit of volume.
    volume_difference : float
        Prediction − reference.
    """

    value: int
    name: str
    case: Case
    dice: float
    iou: float
    sensitivity: float
    specificity: float
    precision: float
    hd95: float
    assd: float
    nsd: float
    volume_prediction: float
    volume_reference: float
    volume_difference: float
    boundary_iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a prediction compares with a reference, label by label.

    Attributes
    ----------
    rows : tuple of LabelScore
        By rising label value; empty if there was no label at all.
    spacing : tuple of float
        Of the arrays' axes of space, in `unit`.
    unit : {"mm", "px"}
        Of lengths.
    volume_unit : str
        "ml" for 3D and "mm²" for 2D grids in mm, "px" for grids without a size.
    tolerance : float
        Of the NSD and the boundary IoU, in `unit`.
    prediction, reference : str
        What was compared: names for a header.
    definitions : dict
        Column key → formula and empty case, as they were when the scores were taken.
    notes : tuple of str
        What one must know to read the numbers, e.g. that a side was resampled.
    """

    rows: tuple[LabelScore, ...]
    spacing: tuple[float, ...]
    unit: Unit
    volume_unit: str
    tolerance: float
    prediction: str
    reference: str
    definitions: dict[str, str] = field(
        default_factory=lambda: {column.key: column.definition for column in COLUMNS}
    )
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> dict[str, float]:
        """Column key → plain mean over all rows, those of empty labels included.

        `cases` says how many those are. Without a row: an empty dict.
        """
        if not self.rows:
            return {}
        return {
            column.key: sum(getattr(row, column.key) for row in self.rows)
            / len(self.rows)
            for column in COLUMNS
        }

    @property
    def cases(self) -> Counter[Case]:
        """How many labels are present in both, in one, in neither."""
        return Counter(row.case for row in self.rows)

    @property
    def headers(self) -> dict[str, str]:
        """Column key → title with unit, e.g. "HD95 (mm)"."""
        return {
            column.key: column.header(self.unit, self.volume_unit, self.tolerance)
            for column in COLUMNS
        }

    def to_csv(self, path: str | Path) -> None:
        """Write one line a label, under the headers of the window.

        UTF-8 with the mark that spreadsheets look for. The names of both sides are in
        each line, so that files of several cases can be joined.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        head = ["prediction", "reference", "label", "name", "case"]
        try:
            with Path(path).open("w", newline="", encoding="utf-8-sig") as file:
                lines = csv.writer(file)
                lines.writerow([*head, *self.headers.values(), "notes"])
                said = " ".join(self.notes)
                for row in self.rows:
                    numbers = (getattr(row, key) for key in self.headers)
                    about = (row.value, row.name, row.case)
                    sides = (self.prediction, self.reference)
                    lines.writerow([*sides, *about, *numbers, said])
        except OSError as error:
            raise InputError(
                f"{path}: the scores cannot be written there ({error.strerror}); close "
                "the file if it is open elsewhere, or choose another place"
            ) from error

    def to_json(self) -> str:
        """All of it as text; `from_json` gives an equal report back."""
        facts = {"format": FORMAT, **asdict(self)}
        return json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote.

        Raises
        ------
        InputError
            If the text is none.
        """
        try:
            facts: dict[str, Any] = json.loads(text)
            if facts.pop("format") != FORMAT or facts.keys() != _FIELDS:
                raise KeyError("format")
            facts["rows"] = tuple(LabelScore(**row) for row in facts["rows"])
            facts["spacing"] = tuple(facts["spacing"])
            facts["notes"] = tuple(facts["notes"])
            return cls(**facts)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                "this is no score report, or one of another version "
                f"({type(error).__name__}: {error}); score the case again"
            ) from error


_FIELDS = {one.name for one in fields(Report)}
