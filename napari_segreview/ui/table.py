"""A table that sorts by numbers and shows on hover what each cell means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableWidget, QTableWidgetItem

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QKeyEvent

    from napari_segreview.core.table import Cell, Table

SORT_KEY = Qt.ItemDataRole.UserRole
ROW_KEY = SORT_KEY + 1
MOST_ROWS = 12  # before it scrolls


class NumberItem(QTableWidgetItem):
    """A cell that sorts by its number, not by its text."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.text)
        self.setData(SORT_KEY, cell.key)
        self.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        if isinstance(cell.key, float):
            self.setTextAlignment(
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            )

    def __lt__(self, other: QTableWidgetItem) -> bool:
        less: bool = self.data(SORT_KEY) < other.data(SORT_KEY)
        return less


class RowTable(QTableWidget):
    """Rows that open by a double click or Enter; tells `opened` the name of the row."""

    def __init__(self, opened: Callable[[str], None]) -> None:
        super().__init__()
        self._opened = opened
        _make_readable(self)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(False)
        header = self.horizontalHeader()
        if header is not None:  # in the order given, until the user sorts
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.cellDoubleClicked.connect(lambda *_: self.open_chosen())

    def open_chosen(self) -> None:
        """As a double click on the row that is chosen."""
        self._opened(chosen_key(self))

    def fill(self, content: Table) -> None:
        """Show the content; the row that was chosen stays so. Tells nobody."""
        chosen = chosen_key(self)
        fill_table(self, content)
        with QSignalBlocker(self):
            self.clearSelection()
            for row in range(self.rowCount() if chosen else 0):
                item = self.item(row, 0)
                if item is not None and item.data(ROW_KEY) == chosen:
                    self.setCurrentItem(item)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  Qt's name
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.open_chosen()
        else:
            super().keyPressEvent(event)


def table_widget() -> QTableWidget:
    """Empty, sortable, not editable."""
    table = QTableWidget()
    _make_readable(table)
    return table


def _make_readable(table: QTableWidget) -> None:
    table.setSortingEnabled(True)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)  # Tab goes on to the next widget, arrows to cells
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    numbers = table.verticalHeader()
    if numbers is not None:
        numbers.setVisible(False)


def fill_table(table: QTableWidget, content: Table) -> None:
    """Show the content, at most `MOST_ROWS` high; tells nobody."""
    with QSignalBlocker(table):
        table.setSortingEnabled(False)
        table.setColumnCount(len(content.headers))
        table.setRowCount(len(content.rows))
        for at, (title, hover) in enumerate(
            zip(content.headers, content.hovers, strict=True)
        ):
            header = QTableWidgetItem(title)
            header.setToolTip(hover)
            table.setHorizontalHeaderItem(at, header)
        for row, cells in enumerate(content.rows):
            for at, cell in enumerate(cells):
                item = NumberItem(cell)
                item.setToolTip(content.hover(row, at))
                if content.keys:
                    item.setData(ROW_KEY, content.keys[row])
                table.setItem(row, at, item)
        table.setSortingEnabled(True)
        table.resizeColumnsToContents()
        rows = min(MOST_ROWS, len(content.rows))
        table.setFixedHeight((rows + 2) * max(table.rowHeight(0), 24))


def chosen_key(table: QTableWidget) -> str:
    """The name of the row that is chosen; "" if none is."""
    chosen = table.selectedItems()
    return str(chosen[0].data(ROW_KEY)) if chosen else ""
