"""The versions of the chosen model: which is active, why others are not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)

from napari_segreview.core.state import State, view
from napari_segreview.ui.form import Panel, column, wrapped_label

if TYPE_CHECKING:
    from napari_segreview.core.protocols import VersionRow
    from napari_segreview.core.session import Session

MOST = 6  # versions shown at once, the latest
BASE = "base"
ZIPS = "Versions (*.zip)"


class VersionList(Panel):
    """A row for each version, and where one from elsewhere is taken."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.rows = QWidget()
        self._rows = column(self.rows)
        self._drawn: tuple[VersionRow, ...] | None = None
        self.take = QPushButton("Import a version…")
        self.take.setToolTip(
            "Keep a version from a zip file; it does not become active"
        )
        self.take.clicked.connect(self._ask_take)
        layout = column(self)
        layout.addWidget(self.rows)
        layout.addWidget(self.take)
        self.follow()

    def draw(self, state: State) -> None:
        self.setVisible(bool(state.model))
        self.rows.setEnabled(not view(state).busy)
        if state.improve.versions != self._drawn:
            self._draw_rows(state.improve.versions)

    def _draw_rows(self, versions: tuple[VersionRow, ...]) -> None:
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
        line.addWidget(QLabel("active") if one.active else self._button(one))
        if one.id != BASE:
            line.addWidget(self._more(one))
        return row

    def _button(self, one: VersionRow) -> QPushButton:
        """What is done most: use an accepted version, try another one."""
        versioning = self.session.versioning
        if one.standing == "accepted":
            button = QPushButton("Roll back" if one.id == BASE else "Use")
            button.setToolTip("Make this the active version")
            button.clicked.connect(lambda: versioning.activate(one.id))
        else:
            button = QPushButton("Try here")
            button.setToolTip("Run it on this scan; the active version stays")
            button.clicked.connect(lambda: versioning.try_version(one.id))
        return button

    def _more(self, one: VersionRow) -> QToolButton:
        button = QToolButton()
        button.setText("⋯")
        button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        button.setAccessibleName(f"More of {one.id}")
        button.setToolTip("Compare or export this version")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        verbs = {"Export…": self._ask_export}
        if not one.active:
            verbs = {"Compare with the active one": self._compare, **verbs}
        menu = QMenu(button)
        for words, verb in verbs.items():
            menu.addAction(words, partial(verb, one.id))
        button.setMenu(menu)
        return button

    def _compare(self, version: str) -> None:
        self.session.versioning.compare(version)

    def _ask_export(self, version: str) -> None:
        model = self.session.state.model
        name, _ = QFileDialog.getSaveFileName(
            self, "Export a version", f"{model}-{version}.zip", ZIPS
        )
        if name:
            self.session.versioning.export(version, Path(name))

    def _ask_take(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import a version", "", ZIPS)
        if name:
            self.session.versioning.take(Path(name))


def _standing(one: VersionRow) -> str:
    return "the model itself" if one.id == BASE else one.standing
