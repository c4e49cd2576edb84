"""The one line at the bottom: what is being done, how far, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from napari_segreview.core.state import State, view
from napari_segreview.ui.form import Panel, column, say, wrapped_label

if TYPE_CHECKING:
    from napari_segreview.core.session import Session

FINE = 1000  # steps of the bar


class JobBar(Panel):
    """Progress, time left, cancel; after a job, what was done or what went wrong."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after the present step; nothing is changed")
        self.cancel.clicked.connect(session.cancel)
        self.status = wrapped_label("status")
        self.row = QWidget()
        line = QHBoxLayout(self.row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.bar, stretch=1)
        line.addWidget(self.cancel)
        layout = column(self)
        layout.addWidget(self.row)
        layout.addWidget(self.status)
        self.follow()

    def draw(self, state: State) -> None:
        shown = view(state)
        self.row.setVisible(shown.busy)
        self.cancel.setEnabled(shown.may_cancel)
        if shown.fraction is None:
            self.bar.setRange(0, 0)  # busy, length unknown
        else:
            self.bar.setRange(0, FINE)
            self.bar.setValue(round(shown.fraction * FINE))
        say(self.status, f"⚠ {shown.status}" if shown.is_fault else shown.status)
