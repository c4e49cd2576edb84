"""Which labels are corrected, whether they are safe, and what earlier starts left."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

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
    from napari_segreview.core.cases import Leftover
    from napari_segreview.core.session import Session
    from napari_segreview.core.state import State

MOST = 3  # leftovers shown at once
PROJECTS = "SegReview project (*.segreview)"


class WorkPanel(Panel):
    """Below the scan, in sight whatever is folded."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.labels = combo(
            "The labels you correct: every stroke on them is saved as it is made, and "
            "Ctrl+Z takes it back"
        )
        self.labels.activated.connect(
            lambda _: session.correcting.choose(self.labels.currentData() or "")
        )
        self.line = wrapped_label("saving")
        self.save = QPushButton("Save project…")
        self.save.setToolTip("Labels with all their history, in one file")
        self.save.clicked.connect(self._ask_save)
        self.open = QPushButton("Open project…")
        self.open.setToolTip("Go on where a project was saved")
        self.open.clicked.connect(self._ask_open)
        self.rows = QWidget()
        self._rows = column(self.rows)
        self._drawn: tuple[Leftover, ...] | None = None

        self.chosen = QWidget()
        choice = form()
        choice.addRow("Correct", self.labels)
        inner = column(self.chosen)
        inner.addLayout(choice)
        inner.addWidget(self.line)
        projects = QHBoxLayout()
        projects.addWidget(self.save)
        projects.addWidget(self.open)
        layout = column(self)
        layout.addWidget(self.chosen)
        layout.addLayout(projects)
        layout.addWidget(self.rows)
        self.follow()

    def draw(self, state: State) -> None:
        work = state.work
        entries = [("", "–"), *((ref.key, ref.name) for ref in state.labels)]
        fill(self.labels, entries, work.layer)
        self.chosen.setVisible(bool(state.labels))
        say(self.line, f"⚠ {work.line}" if work.is_fault else work.line)
        self.save.setVisible(bool(work.layer))
        if work.leftovers != self._drawn:
            self._draw_leftovers(work.leftovers)

    def _draw_leftovers(self, leftovers: tuple[Leftover, ...]) -> None:
        self._drawn = leftovers
        while (item := self._rows.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for one in leftovers[:MOST]:
            self._rows.addWidget(self._row(one))
        if len(leftovers) > MOST:
            self._rows.addWidget(QLabel(f"and {len(leftovers) - MOST} more"))
        self.rows.setVisible(bool(leftovers))

    def _row(self, one: Leftover) -> QWidget:
        row = QWidget()
        row.setObjectName(one.key)
        text = wrapped_label("leftover")
        text.setText(f"{one.title}: {one.fault}" if one.fault else one.title)
        text.setToolTip(one.fault or f"{one.edits} change{'s' * (one.edits != 1)} kept")
        text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        restore = QPushButton("Restore")
        restore.setObjectName("restore")
        restore.setEnabled(not one.fault)
        restore.setToolTip(one.fault or "Show these labels again and go on with them")
        restore.clicked.connect(partial(self._restore, one.key))
        discard = QPushButton("Discard")
        discard.setObjectName("discard")
        discard.setToolTip("Put them in the trash, where they stay for 30 days")
        discard.clicked.connect(partial(self._discard, one.key))
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(text, stretch=1)
        line.addWidget(restore)
        line.addWidget(discard)
        return row

    def _restore(self, key: str) -> None:
        self.session.correcting.restore(key)

    def _discard(self, key: str) -> None:
        self.session.correcting.discard(key)

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the project", "work.segreview", PROJECTS
        )
        if name:
            self.session.correcting.save_project(Path(name))

    def _ask_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a project", "", PROJECTS)
        if name:
            self.session.correcting.open_project(Path(name))
