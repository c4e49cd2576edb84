"""A scored cohort as a page, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from napari_segreview.core.charts import box_chart
from napari_segreview.core.cohort import (
    BOXES,
    MOST_BOXES,
    CaseScore,
    box_groups,
    case_table,
    difference_table,
    facts,
    structures,
    summary_table,
)
from napari_segreview.engine import page
from napari_segreview.engine.case_report import checked_page, versions
from src_models.metrics import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def write_cohort(cases: Sequence[CaseScore], path: Path) -> Path:
    """Write ``path`` (.html) and the same name as .csv and .json; returns the page.

    Cases are told by the names they were given.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    path = checked_page(path)
    page.write(path, page.page("Scores of a cohort", _parts(cases)))
    page.write(path.with_suffix(".csv"), _csv(cases))
    text = json.dumps(facts(cases), ensure_ascii=False, indent=2, allow_nan=False)
    page.write(path.with_suffix(".json"), text)
    return path


def _parts(cases: Sequence[CaseScore]) -> Iterator[str]:
    failed = sum(bool(one.error) for one in cases)
    yield page.facts({"Cases": f"{len(cases)}, {failed} without a score", **versions()})
    yield page.heading("Structures")
    yield page.table(summary_table(cases))
    compared = difference_table(cases)
    if compared.rows:
        yield page.heading("Second against first model")
        yield page.table(compared)
    yield page.heading("Dice of the cases")
    groups = box_groups(cases)
    yield page.chart(box_chart(groups, BOXES), BOXES)
    whole = len(structures(cases))
    if len(groups) < whole:
        yield page.note(f"The {MOST_BOXES} structures of {whole} with the lowest Dice.")
    yield page.heading("Cases, the worst first")
    yield page.table(case_table(cases))


def _csv(cases: Sequence[CaseScore]) -> str:
    """A line a case, model and structure, under the headers of the window."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    report = next((one.report for one in cases if one.report), None)
    headers = report.headers.values() if report else [one.title for one in COLUMNS]
    lines.writerow(["case", "model", "label", "name", "rule", *headers, "error"])
    for one in cases:
        for model, scored in (("first", one.report), ("second", one.second)):
            for row in scored.rows if scored else ():
                numbers = [getattr(row, column.key) for column in COLUMNS]
                about = [one.case, model, row.value, row.name, row.case]
                lines.writerow([*about, *numbers, ""])
        if one.error:
            empty = [""] * (3 + len(COLUMNS))
            lines.writerow([one.case, "first", *empty, one.error])
    return "\ufeff" + text.getvalue()
