"""Mark what is right, improve the model on it, see the verdict, choose a version."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget
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

if TYPE_CHECKING:
    from napari_segreview.core.protocols import VersionRow
    from napari_segreview.core.session import Session

MOST = 6  # versions shown at once, the latest
BASE = "base"


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
        self.next = QPushButton("Next to correct (Alt+N)")
        self.next.setShortcut(QKeySequence("Alt+N"))
        self.next.setToolTip(
            "Go to the slice where the model is unsure over the largest area; the first "
            "time the whole scan is looked at"
        )
        self.next.clicked.connect(improving.go_next)
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
        self.rows = QWidget()
        self._rows = column(self.rows)
        self._drawn: tuple[VersionRow, ...] | None = None
        self._lay_out()
        self.follow()

    def _lay_out(self) -> None:
        layout = column(self)
        marks = QHBoxLayout()
        marks.addWidget(self.slice)
        marks.addWidget(self.scan)
        layout.addLayout(marks)
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
        for one in (self.run, self.curve, self.verdict, self.rows):
            layout.addWidget(one)

    def draw(self, state: State) -> None:
        improve, busy = state.improve, view(state).busy
        chosen = bool(state.work.layer)
        for button in (self.slice, self.scan):
            button.setEnabled(chosen)
        self.next.setEnabled(chosen and not busy)
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
        if improve.versions != self._drawn:
            self._draw_versions(improve.versions)

    def _draw_versions(self, versions: tuple[VersionRow, ...]) -> None:
        self._drawn = versions
        while (item := self._rows.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for one in (*versions[:1], *versions[1:][-MOST:]):
            self._rows.addWidget(self._row(one))
        self.rows.setVisible(len(versions) > 1)

    def _row(self, one: VersionRow) -> QWidget:
        row = QWidget()
        row.setObjectName(one.id)
        text = wrapped_label("version")
        text.setText(f"{'● ' if one.active else '○ '}{one.title}: {_standing(one)}")
        text.setToolTip("\n".join(one.reasons))
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(text, stretch=1)
        if one.active:
            line.addWidget(QLabel("active"))
        elif one.standing == "accepted":
            words = "Roll back" if one.id == BASE else "Use"
            button = QPushButton(words)
            button.setToolTip("Make this the active version")
            button.clicked.connect(partial(self._activate, one.id))
            line.addWidget(button)
        else:
            button = QPushButton("Try here")
            button.setToolTip("Run it on this scan; the active version stays")
            button.clicked.connect(partial(self._try, one.id))
            line.addWidget(button)
        return row

    def _activate(self, version: str) -> None:
        self.session.improving.activate(version)

    def _try(self, version: str) -> None:
        self.session.improving.try_version(version)


def _standing(one: VersionRow) -> str:
    return "the model itself" if one.id == BASE else one.standing


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
