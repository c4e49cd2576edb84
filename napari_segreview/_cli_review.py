"""`segreview report | readers | score-cohort`: comparing files without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from napari_segreview.scans import read_labels, read_one

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

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


def as_rich(content: Content, title: str) -> Table:
    """A table for the terminal."""
    table = Table(title=escape(title), title_justify="left")
    for at, header in enumerate(content.headers):
        table.add_column(escape(header), justify="right" if at else "left")
    for row in content.rows:
        table.add_row(*(escape(cell.text) for cell in row))
    return table
