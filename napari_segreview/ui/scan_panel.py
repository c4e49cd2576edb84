"""Which scan: the chosen layer, its facts, its warnings; or two ways to begin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

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

if TYPE_CHECKING:
    from napari_segreview.core.session import Session


class ScanPanel(Panel):
    """The first lines of the dock."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.layer = combo("The image layer that models read")
        self.layer.activated.connect(
            lambda _: session.choose_scan(self.layer.currentData())
        )
        self.facts = wrapped_label("facts")
        self.warnings = wrapped_label("warnings")
        self.open_file = QPushButton("Open a scan…")
        self.open_file.setToolTip("NIfTI, NRRD, MetaImage, DICOM file, PNG, JPEG, TIFF")
        self.open_file.clicked.connect(self._ask_files)
        self.open_folder = QPushButton("Open a DICOM folder…")
        self.open_folder.setToolTip("All image series in a folder and below it")
        self.open_folder.clicked.connect(self._ask_folder)
        self.try_sample = QPushButton("Try a sample")
        self.try_sample.setToolTip("Real images that come with the program")
        menu = QMenu(self.try_sample)
        for key, title in session.state.samples:
            action = menu.addAction(title)
            if action is not None:
                action.setData(key)
        menu.triggered.connect(lambda action: session.open_sample(action.data()))
        self.try_sample.setMenu(menu)

        self.chosen = QWidget()
        rows = form()
        rows.addRow("Scan", self.layer)
        inner = column(self.chosen)
        inner.addLayout(rows)
        inner.addWidget(self.facts)
        inner.addWidget(self.warnings)
        layout = column(self)
        layout.addWidget(self.chosen)
        for button in (self.open_file, self.open_folder, self.try_sample):
            layout.addWidget(button)
        self.follow()

    def draw(self, state: State) -> None:
        shown = view(state)
        fill(self.layer, ((ref.key, ref.name) for ref in state.images), state.scan_key)
        say(self.facts, shown.facts)
        say(self.warnings, "\n".join(f"⚠ {line}" for line in shown.warnings))
        empty = not state.images
        self.chosen.setVisible(not empty)
        for button in (self.open_file, self.open_folder, self.try_sample):
            button.setVisible(empty)
            button.setEnabled(not shown.busy)

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Open a scan")
        if names:
            self.session.open([Path(name) for name in names])

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a DICOM folder")
        if name:
            self.session.open([Path(name)])
