"""A scored cohort as a page, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
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
    meanings,
    structures,
    summary_table,
)
from napari_segreview.core.numbering import ORDER, numbered
from napari_segreview.engine import page
from napari_segreview.engine.case_report import checked_page, model_facts, versions
from src_models.metrics import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from src_models.metrics import Report


def write_cohort(
    cases: Sequence[CaseScore],
    path: Path,
    models: tuple[str, str] = ("", ""),
    *,
    with_names: bool = False,
) -> Path:
    """Write ``path`` (.html) and the same name as .csv and .json; returns the page.

    Parameters
    ----------
    models : (str, str)
        Names of the models that made the first and the second labels; "" is not known.
    with_names : bool
        Whether the names of the cases are told. They are those of files and may name
        a patient; without, cases are numbered in their order.

    Raises
    ------
    InputError
        If they cannot be written, or there is no such model.
    """
    path = checked_page(path)
    told = settings(cases, models) | versions()
    if not with_names:
        number = numbered(one.case for one in cases)
        cases = [replace(one, case=number[one.case]) for one in cases]
        told["Cases"] += f"; {ORDER}"
    page.write(path, page.page("Scores of a cohort", _parts(cases, told)))
    page.write(path.with_suffix(".csv"), _csv(cases))
    whole = {"settings": told, **facts(cases)}
    text = json.dumps(whole, ensure_ascii=False, indent=2, allow_nan=False)
    page.write(path.with_suffix(".json"), text)
    return path


def settings(cases: Sequence[CaseScore], models: tuple[str, str]) -> dict[str, str]:
    """What was scored, and how."""
    failed = sum(bool(one.error) for one in cases)
    told = {"Cases": f"{len(cases)}, {failed} without a score"}
    if any(one.second for one in cases):
        told |= model_facts(models[0], "First model")
        told |= model_facts(models[1], "Second model")
    else:
        told |= model_facts(models[0])
    reports = [one.report for one in cases if one.report]
    told |= _voxels(reports)
    if reports:
        told["Tolerance"] = f"{reports[0].tolerance:g} {reports[0].unit}"
    if changed := sum(bool(one.rows and one.notes) for one in reports):
        many = f"{changed} case{'s' * (changed != 1)}"
        told["Labels"] = f"changed to be compared in {many}; notes say how"
    return told


def _voxels(reports: Sequence[Report]) -> dict[str, str]:
    """From the smallest to the largest voxel size along x, y, z; of 2D images x, y."""
    told = []
    for unit, ndim in sorted({(one.unit, len(one.spacing)) for one in reports}):
        own = [
            one.spacing
            for one in reports
            if (one.unit, len(one.spacing)) == (unit, ndim)
        ]
        sides = [(min(side), max(side)) for side in zip(*own, strict=True)]
        size = " × ".join(
            f"{low:.4g}"
            if f"{low:.4g}" == f"{high:.4g}"
            else f"{low:.4g} to {high:.4g}"
            for low, high in reversed(sides)
        )
        told.append(f"{size} {unit} ({len(own)} cases)")
    return {"Voxels (x, y, z)": "; ".join(told)} if told else {}


def _parts(cases: Sequence[CaseScore], told: dict[str, str]) -> Iterator[str]:
    yield page.facts(told)
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
    yield page.heading("What the numbers mean")
    yield page.definitions(meanings(cases))


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
