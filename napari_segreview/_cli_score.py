"""`segreview score`: a report as a table on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from src_models.metrics import Report

FEW = 3  # labels that stand side by side on a terminal
MAIN = ("dice", "nsd", "hd95", "assd", "volume_difference")


def score_table(report: Report) -> Table:
    """A line a number; or, of many labels, a line a label with the main numbers."""
    from napari_segreview.core.report_table import table_of

    content = table_of(report)
    lines = [content.headers, *([cell.text for cell in row] for row in content.rows)]
    caption = "In brackets: by the rule for empty labels."
    if len(report.rows) <= FEW:
        lines = list(zip(*lines, strict=True))
    else:
        kept = [0, *(at for at, key in enumerate(report.headers, 1) if key in MAIN)]
        lines = [[line[at] for at in kept] for line in lines]
        caption += " All numbers: --csv FILE or --json."
    title = escape(f"{report.prediction} against {report.reference}")
    table = Table(title=title, caption=caption)
    for at, header in enumerate(lines[0]):
        table.add_column(escape(header), justify="right" if at else "left")
    for line in lines[1:]:
        table.add_row(*(escape(text) for text in line))
    return table
