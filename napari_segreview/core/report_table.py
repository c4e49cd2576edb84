"""A report as the window shows it: texts, what to sort by, what to say on hover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.table import Cell, Table
from src_models.metrics import COLUMNS

if TYPE_CHECKING:
    from src_models.metrics import Report
    from src_models.metrics.report import LabelScore

SMALL = 0.1  # volumes below are told by their first two digits
DECIMALS = {"share": 3, "tolerance": 3, "length": 2, "volume": 2}


def table_of(report: Report) -> Table:
    """A row a label, and a row of means where there is more than one label."""
    rows = [_row(row, report) for row in report.rows]
    if len(report.rows) > 1:
        rows.append(_means(report))
    return Table(
        headers=("Label", *report.headers.values()),
        hovers=(
            "The structure",
            *(report.definitions[column.key] for column in COLUMNS),
        ),
        rows=tuple(rows),
    )


def _row(row: LabelScore, report: Report) -> tuple[Cell, ...]:
    present = row.case == "both present"
    cells = [Cell(row.name, row.name, f"label {row.value}: {row.case}")]
    for column in COLUMNS:
        number: float = getattr(row, column.key)
        by_rule = not present and column.unit_kind != "volume"
        text = _text(column.key, number)
        hover = report.definitions[column.key]
        if by_rule:
            hover = f"By rule, not measured ({row.case}). {column.empty_rule}"
        cells.append(Cell(f"({text})" if by_rule else text, number, hover))
    return tuple(cells)


def _means(report: Report) -> tuple[Cell, ...]:
    hover = f"Plain mean over {len(report.rows)} labels"
    numbers = report.mean.items()
    return (
        Cell("mean", "\uffff", hover),
        *(Cell(_text(key, value), value, hover) for key, value in numbers),
    )


def _text(key: str, number: float) -> str:
    column = next(one for one in COLUMNS if one.key == key)
    sign = "+" if column.better == "zero" else ""
    form = f"{sign}.{DECIMALS[column.unit_kind]}f"
    if column.unit_kind == "volume" and 0 < abs(number) < SMALL:
        form = f"{sign}.2g"  # a lesion of one voxel is not nothing
    return f"{number:{form}}".replace("-", "−")
