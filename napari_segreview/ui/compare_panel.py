"""Two label layers in, numbers out: sortable, on hover what each means, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_segreview.core.report_table import table_of
from napari_segreview.core.state import State, view
from napari_segreview.ui.form import (
    Panel,
    column,
    combo,
    fill,
    form,
    resample_box,
    say,
    tolerance_box,
    wrapped_label,
)
from napari_segreview.ui.table import fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.session import Session


class ComparePanel(Panel):
    """Prediction against reference."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.prediction = combo("The labels to judge")
        self.reference = combo("The labels to trust, e.g. drawn by hand")
        for box in (self.prediction, self.reference):
            box.activated.connect(self._pair_chosen)
        self.tolerance = tolerance_box(session.choose_tolerance)
        self.resample = resample_box(session.reviewing.choose_resample)
        self.run = QPushButton("C&ompare")
        self.run.clicked.connect(session.compare)
        self.save = QPushButton("CSV…")
        self.save.setToolTip("The table, for a spreadsheet")
        self.save.clicked.connect(self._ask_csv)
        self.page = QPushButton("Report…")
        self.page.setToolTip("A page with pictures of the worst slices, for a browser")
        self.page.clicked.connect(self._ask_page)
        self.hint = wrapped_label("hint")
        self.table = table_widget()

        layout = column(self)
        rows = form()
        rows.addRow("Prediction", self.prediction)
        rows.addRow("Reference", self.reference)
        rows.addRow("Tolerance", self.tolerance)
        rows.addRow(self.resample)
        layout.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, stretch=2)
        buttons.addWidget(self.page, stretch=1)
        buttons.addWidget(self.save, stretch=1)
        layout.addLayout(buttons)
        layout.addWidget(self.hint)
        layout.addWidget(self.table)
        self._drawn: object = None
        self.follow()

    def draw(self, state: State) -> None:
        shown = view(state)
        entries = [(ref.key, ref.name) for ref in state.labels]
        fill(self.prediction, entries, state.prediction)
        fill(self.reference, entries, state.reference)
        with QSignalBlocker(self.tolerance):
            self.tolerance.setValue(state.tolerance)
            self.tolerance.setSuffix(f" {shown.tolerance_unit}")
        with QSignalBlocker(self.resample):
            self.resample.setChecked(state.resample)
        self.run.setEnabled(shown.may_compare)
        self.run.setToolTip(
            shown.why_not_compare or "Dice, surface distances and volumes of each label"
        )
        notes = state.report.notes if state.report else ()
        why = "" if shown.may_compare or shown.busy else shown.why_not_compare
        say(
            self.hint,
            "\n".join([*(f"⚠ {note}" for note in notes), *([why] * bool(why))]),
        )
        self.page.setEnabled(shown.may_compare and state.report is not None)
        self.save.setEnabled(state.report is not None)
        self.table.setVisible(state.report is not None)
        if state.report is not self._drawn:
            self._drawn = state.report
            self._draw_table(state)

    def _draw_table(self, state: State) -> None:
        if state.report is None:
            self.table.setRowCount(0)
            return
        fill_table(self.table, table_of(state.report))

    def _pair_chosen(self, _: int) -> None:
        self.session.choose_pair(
            self.prediction.currentData() or "", self.reference.currentData() or ""
        )

    def _ask_csv(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the scores", "scores.csv", "Spreadsheet (*.csv)"
        )
        if name:
            self.session.save_report(Path(name))

    def _ask_page(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Write a report", "report.html", "Web page (*.html)"
        )
        if name:
            self.session.reviewing.write_report(Path(name))
