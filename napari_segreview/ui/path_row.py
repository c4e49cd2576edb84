"""A line that holds a folder or a file: typed, dropped or chosen in a dialog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QDragEnterEvent, QDropEvent


class PathRow(QWidget):
    """Tells `chosen` a path, or None when the line is emptied.

    Parameters
    ----------
    title, hover : str
        Of the dialog, of the line.
    files : str, optional
        Which files may be chosen beside folders, as Qt's dialogs want it.
    """

    def __init__(
        self,
        title: str,
        hover: str,
        chosen: Callable[[Path | None], None],
        files: str = "",
    ) -> None:
        super().__init__()
        self._title, self._files, self._chosen = title, files, chosen
        self._path: Path | None = None
        self.line = _Line(chosen)
        self.line.setToolTip(hover)
        self.line.setAccessibleName(title)
        self.line.setClearButtonEnabled(True)
        self.line.editingFinished.connect(self._typed)
        self.line.textChanged.connect(lambda text: None if text else self._typed())
        self.folder = QPushButton("Folder…")
        self.folder.setToolTip(title)
        self.folder.clicked.connect(self._ask_folder)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, stretch=1)
        row.addWidget(self.folder)
        if files:
            self.file = QPushButton("CSV…")
            self.file.setToolTip(f"A list with a row a case: {files}")
            self.file.clicked.connect(self._ask_file)
            row.addWidget(self.file)

    def show_path(self, path: Path | None) -> None:
        """Show it; tells nobody."""
        if path != self._path:
            self._path = path
            with QSignalBlocker(self.line):
                self.line.setText(str(path or ""))

    def _typed(self) -> None:
        text = self.line.text().strip()
        path = Path(text).expanduser() if text else None
        if path != self._path:
            self._chosen(path)

    def _ask_folder(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, self._title):
            self._chosen(Path(name))

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self._title, "", "List (*.csv)")
        if name:
            self._chosen(Path(name))


class _Line(QLineEdit):
    """Takes a folder or file that is dropped on it."""

    def __init__(self, chosen: Callable[[Path | None], None]) -> None:
        super().__init__()
        self._chosen = chosen

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        mime = event.mimeData() if event is not None else None
        if event is not None and mime is not None and mime.hasUrls():
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802  Qt's name
        mime = event.mimeData() if event is not None else None
        paths = [url.toLocalFile() for url in mime.urls()] if mime is not None else []
        if event is not None and paths and paths[0]:
            event.acceptProposedAction()
            self._chosen(Path(paths[0]))
        else:
            super().dropEvent(event)
