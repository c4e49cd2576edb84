"""`segreview report | readers | score-cohort`: comparing files without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from rich.console import Console

    from napari_segreview.core.cohort import CaseScore
    from napari_segreview.core.readers import Study
    from napari_segreview.core.table import Table as Content


def report(
    image: Path,
    prediction: Path,
    reference: Path,
    output: Path,
    *,
    tolerance: float,
    model: str,
    with_names: bool,
) -> Generator[Any, None, Path]:
    """The page of one case; see `write_case`."""
    from napari_segreview.engine.case_report import checked_page, write_case

    checked_page(output)  # before minutes of work
    return write_case(
        read_labels(prediction),
        read_labels(reference),
        read_one(image),
        output,
        tolerance=tolerance,
        model=model,
        with_names=with_names,
    )


def tell_study(out: Console, study: Study, *, as_json: bool) -> None:
    """The tables of a study of readers, or all of it for programs."""
    from napari_segreview.core.readers import RULE, pair_table, spread_table
    from napari_segreview.engine import readers_page

    if as_json:
        out.file.write(readers_page.as_json(study) + "\n")
        return
    cases = len({one.case for one in study.pairs})
    out.print(as_rich(pair_table(study), f"Readers, {cases} case(s)"))
    if study.model:
        out.print(as_rich(spread_table(study), f"{study.model} against the readers"))
        out.print(RULE, markup=False, highlight=False)


def tell_cohort(
    out: Console, cases: Sequence[CaseScore], folder: Path, tolerance: float
) -> str:
    """Show the tables, write the page; returns what was written.

    Raises
    ------
    InputError
        If no case has a score: then there is nothing to write.
    """
    from napari_segreview.core.cohort import (
        case_table,
        difference_table,
        summary_table,
    )
    from napari_segreview.engine.cohort_page import write_cohort

    out.print(as_rich(case_table(cases), "Cases, the worst first"))
    if not any(one.report for one in cases):
        raise InputError("no case could be scored; the table says why")
    out.print(as_rich(summary_table(cases), "Structures"))
    compared = difference_table(cases)
    if compared.rows:
        out.print(as_rich(compared, "Second against first model"))
    settings = {"Tolerance": f"{tolerance:g}"}
    return f"Wrote {write_cohort(cases, folder / 'cohort.html', settings)}"


def as_rich(content: Content, title: str) -> Table:
    """A table for the terminal."""
    table = Table(title=escape(title), title_justify="left")
    for at, header in enumerate(content.headers):
        table.add_column(escape(header), justify="right" if at else "left")
    for row in content.rows:
        table.add_row(*(escape(cell.text) for cell in row))
    return table
