"""Where the prediction is worst: a table and a strip of slices that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QWidget,
)

from napari_segreview.core.error_table import ORDERS, strip, table_of_errors, where
from napari_segreview.core.state import State, view
from napari_segreview.ui.form import (
    Panel,
    column,
    combo,
    fill,
    form,
    say,
    wrapped_label,
)
from napari_segreview.ui.strip import Strip
from napari_segreview.ui.table import ROW_KEY, fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.error_table import ErrorSpot
    from napari_segreview.core.session import Session

ROWS = 7  # before the table scrolls


class ErrorPanel(Panel):
    """The worst slices of the last comparison."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.order = combo("What makes a slice the worst")
        self.order.activated.connect(
            lambda _: session.reviewing.choose_order(self.order.currentData())
        )
        self.next = QPushButton("&Next worst (W)")
        self.next.setToolTip("Move the view to the next row; key W over the image")
        self.next.clicked.connect(session.reviewing.next_worst)
        self.layers = QPushButton("Show errors")
        self.layers.setToolTip(
            "Layers of false and missed voxels, and of surface distances as colours"
        )
        self.layers.clicked.connect(session.reviewing.show_errors)
        self.correct = QPushButton("&Correct here")
        self.correct.setToolTip(
            "Take up the prediction under Correct, at the error on show, with a brush of "
            "that structure; every stroke is saved"
        )
        self.correct.clicked.connect(session.reviewing.correct)
        self.hint = wrapped_label("errors")
        self.caption = wrapped_label("strip")
        self.strip = Strip(self._slice_chosen)
        self.table = table_widget()
        self.table.setWordWrap(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.cellClicked.connect(self._row_chosen)

        layout = column(self)
        rows = form()
        rows.addRow("Worst by", self.order)
        layout.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.next, stretch=1)
        buttons.addWidget(self.correct, stretch=1)
        buttons.addWidget(self.layers, stretch=1)
        layout.addLayout(buttons)
        for part in (self.hint, self.caption, self.strip, self.table):
            layout.addWidget(part)
        self._spots: tuple[ErrorSpot, ...] = ()
        self._drawn: tuple[object, ...] = ()
        self.follow()

    def draw(self, state: State) -> None:
        shown = view(state)
        fill(self.order, ORDERS.items(), state.worst_by)
        drawn = (state.report, state.slices, state.worst_by)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw_table(state)
        for button in (self.next, self.correct):
            button.setEnabled(bool(self._spots))
        self.layers.setEnabled(shown.may_compare)
        say(self.hint, self._hint(state))
        for part in (self.caption, self.strip, self.table):
            part.setVisible(bool(self._spots))
        if self._spots:
            self._draw_place(state)

    def _hint(self, state: State) -> str:
        if state.report is None:
            return "Compare two Labels layers first."
        return "" if self._spots else "No slice has a wrong voxel."

    def _draw_table(self, state: State) -> None:
        self._spots = self.session.reviewing.spots()
        if state.slices is None or not self._spots:
            self.table.setRowCount(0)
            return
        header = self.table.horizontalHeader()
        if header is not None:  # the worst first, until the user sorts
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        fill_table(self.table, table_of_errors(self._spots, state.slices))
        if header is not None:  # names give way, numbers are never cut off
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setHighlightSections(False)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        rows = min(ROWS, len(self._spots))
        self.table.setFixedHeight((rows + 2) * max(self.table.rowHeight(0), 24))

    def _draw_place(self, state: State) -> None:
        spot = self._spots[state.spot] if state.spot >= 0 else None
        slices = state.slices
        if slices is None:
            return
        values = strip(slices, spot.row if spot else None)
        at = spot.frame * slices.dice.shape[2] + spot.slice if spot else -1
        self.strip.setVisible(len(values) > 1)
        self.strip.show_values(values, at)
        name = f"{spot.name}, {where(spot, slices)}" if spot else "all structures"
        say(self.caption, f"Dice per slice: {name}" if len(values) > 1 else "")
        with QSignalBlocker(self.table):
            self.table.clearSelection()
            for row in range(self.table.rowCount() if spot else 0):
                if self._key(row) == state.spot:
                    self.table.selectRow(row)
                    break

    def _row_chosen(self, row: int, _: int) -> None:
        self.session.reviewing.visit(self._key(row))

    def _slice_chosen(self, place: int) -> None:
        """The worst structure of that slice, the one on show first."""
        state = self.session.state
        if state.slices is None:
            return
        frame, slice_ = divmod(place, state.slices.dice.shape[2])
        own = self._spots[state.spot].row if state.spot >= 0 else None
        here = [
            at
            for at, spot in enumerate(self._spots)
            if (spot.frame, spot.slice) == (frame, slice_)
        ]
        if here:
            same = [at for at in here if self._spots[at].row == own]
            self.session.reviewing.visit((same or here)[0])

    def _key(self, row: int) -> int:
        item = self.table.item(row, 0)
        return int(item.data(ROW_KEY)) if item is not None else -1
