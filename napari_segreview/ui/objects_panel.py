"""Lesions, nuclei: which were found, which were missed, which are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QDoubleSpinBox, QPushButton, QWidget

from napari_segreview.core.objects import ARE, RULES, object_table, thing_table
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
from napari_segreview.ui.table import RowTable, fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.objects import ObjectReport
    from napari_segreview.core.session import Session


class ObjectsPanel(Panel):
    """The objects of the pair that is chosen under Compare."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        detecting = session.detecting
        self.are = combo(
            "Connected voxels of one label are one object (lesions); or each label value "
            "is one (numbered nuclei)"
        )
        self.are.activated.connect(
            lambda _: detecting.choose_are(self.are.currentData())
        )
        self.rule = combo(
            "When two objects are the same one: their overlap is large enough, or the "
            "middle of the predicted one lies in that of the reference"
        )
        self.rule.activated.connect(
            lambda _: detecting.choose_rule(self.rule.currentData())
        )
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0.0, 0.99)
        self.threshold.setSingleStep(0.05)
        self.threshold.setKeyboardTracking(False)
        self.threshold.setToolTip(
            "The IoU of two objects must be above this. Panoptic quality as published: 0.5"
        )
        self.threshold.valueChanged.connect(detecting.choose_threshold)
        self.run = QPushButton("&Find objects")
        self.run.clicked.connect(detecting.find)
        self.hint = wrapped_label("objects")
        self.sums = table_widget()
        self.caption = wrapped_label("things")
        self.things = RowTable(lambda key: detecting.visit(int(key or -1)))
        self.things.setAccessibleName("Objects, the missed and false ones first")
        self.things.cellClicked.connect(lambda *_: self.things.open_chosen())
        self._drawn: ObjectReport | None = None

        layout = column(self)
        rows = form()
        rows.addRow("Objects are", self.are)
        rows.addRow("Matched by", self.rule)
        rows.addRow("IoU above", self.threshold)
        layout.addLayout(rows)
        for part in (self.run, self.hint, self.sums, self.caption, self.things):
            layout.addWidget(part)
        self._draw_report(None)
        self.follow()

    def draw(self, state: State) -> None:
        shown, wish = view(state), state.object_wish
        fill(self.are, ARE.items(), wish.are)
        fill(self.rule, RULES.items(), wish.rule)
        with QSignalBlocker(self.threshold):
            self.threshold.setValue(wish.threshold)
        self.threshold.setEnabled(wish.rule == "iou")
        self.run.setEnabled(shown.may_compare)
        self.run.setToolTip(
            shown.why_not_compare
            or "Count found, missed and false objects of the pair under Compare"
        )
        notes = state.objects.notes if state.objects else ()
        say(self.hint, "\n".join(f"⚠ {note}" for note in notes))
        if state.objects is not self._drawn:
            self._drawn = state.objects
            self._draw_report(state.objects)

    def _draw_report(self, report: ObjectReport | None) -> None:
        for part in (self.sums, self.things):
            part.setVisible(report is not None)
        count = len(report.things) if report else 0
        listed = "missed and false first; a click or Enter leads there"
        say(self.caption, f"Each object, {listed}" if count else "")
        self.things.setVisible(count > 0)
        if report is not None:
            fill_table(self.sums, object_table(report))
            self.things.fill(thing_table(report))
