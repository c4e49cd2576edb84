"""Mark what is right, improve the model on it, see the verdict, choose a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt import QCollapsible

from napari_segreview.core.improve import BUDGETS, LOSSES
from napari_segreview.core.state import State, in_words, view
from napari_segreview.ui.curve import Curve
from napari_segreview.ui.form import (
    Panel,
    column,
    combo,
    fill,
    form,
    say,
    wrapped_label,
)
from napari_segreview.ui.version_list import VersionList

if TYPE_CHECKING:
    from napari_segreview.core.session import Session


class ImprovePanel(Panel):
    """The last section of the dock."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        improving = session.improving
        self.slice = QPushButton("✓ This slice (Alt+V)")
        self.slice.setShortcut(QKeySequence("Alt+V"))
        self.slice.setToolTip(
            "This slice is right as it is now: the model may learn from it. Again to "
            "take the mark back"
        )
        self.slice.clicked.connect(improving.mark_slice)
        self.scan = QPushButton("✓ Whole scan")
        self.scan.setToolTip("All slices are right; again to take it back")
        self.scan.clicked.connect(improving.mark_scan)
        self.region = QPushButton("✓ Region")
        self.region.setToolTip(
            "Drag a rectangle in this slice: what lies in it is right, background too"
        )
        self.region.clicked.connect(improving.mark_region)
        self.back = QPushButton("Unmark")
        self.back.setToolTip("Take the latest mark back")
        self.back.clicked.connect(improving.take_back)
        self.next = QPushButton("Next to correct (Alt+N)")
        self.next.setShortcut(QKeySequence("Alt+N"))
        self.next.setToolTip(
            "Go to the slice where the model is unsure over the largest area; the first "
            "time all open scans are looked at, and where it is unsure is shown"
        )
        self.next.clicked.connect(session.doubting.go_next)
        self.checked = wrapped_label("checked")
        self.budget = combo("How long to learn; it ends by itself")
        self.budget.activated.connect(
            lambda _: improving.choose_budget(float(self.budget.currentData()))
        )
        self.loss = combo("What is made small; the first one is right for most")
        self.loss.activated.connect(
            lambda _: improving.choose_loss(self.loss.currentData())
        )
        self.run = QPushButton("&Improve model")
        self.run.clicked.connect(improving.improve)
        self.curve = Curve()
        self.verdict = wrapped_label("verdict")
        self.versions = VersionList(session)
        self._lay_out()
        self.follow()

    def _lay_out(self) -> None:
        layout = column(self)
        marks = QHBoxLayout()
        marks.addWidget(self.slice)
        marks.addWidget(self.scan)
        layout.addLayout(marks)
        more = QHBoxLayout()
        more.addWidget(self.region)
        more.addWidget(self.back)
        layout.addLayout(more)
        layout.addWidget(self.checked)
        layout.addWidget(self.next)
        rows = form()
        rows.addRow("Budget", self.budget)
        layout.addLayout(rows)
        inside = QWidget()
        options = form()
        options.addRow("Loss", self.loss)
        inside.setLayout(options)
        fold = QCollapsible("Options", expandedIcon="▾", collapsedIcon="▸")
        fold.setDuration(0)
        fold.addWidget(inside)
        layout.addWidget(fold)
        for one in (self.run, self.curve, self.verdict, self.versions):
            layout.addWidget(one)

    def draw(self, state: State) -> None:
        improve, busy = state.improve, view(state).busy
        chosen = bool(state.work.layer)
        for button in (self.slice, self.scan, self.region):
            button.setEnabled(chosen)
        self.back.setEnabled(bool(improve.marks_of(state.work.layer)))
        self.next.setEnabled(state.scan is not None and bool(state.model) and not busy)
        say(self.checked, improve.said)
        budgets = [(str(one), in_words(60 * one)) for one in BUDGETS]
        fill(self.budget, budgets, str(improve.budget_minutes))
        fill(self.loss, ((one, one) for one in LOSSES), improve.loss)
        why = _why_not(state)
        self.run.setEnabled(not why and not busy)
        self.run.setToolTip(
            why
            or "Trains a candidate on what was checked here and before. It becomes active "
            "only if it is better on locked cases; cancelled, the best so far is kept"
        )
        self.curve.show_points(improve.points)
        say(self.verdict, improve.verdict)


def _why_not(state: State) -> str:
    """What is missing before a model can be improved; "" if nothing."""
    offer = view(state).offer
    if state.scan is None:
        return "Open a scan first."
    if not state.work.layer:
        return "Choose the labels that you correct."
    if not state.improve.marks_of(state.work.layer):
        return "Mark the slices that you have corrected."
    if offer is None:
        return "Choose a model."
    return offer.reason
