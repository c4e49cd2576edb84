"""What each label is called, and its code; the way out to DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_segreview.core.naming import label_table, uncoded
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
from napari_segreview.ui.table import fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.labels import Label
    from napari_segreview.core.session import Session

TABLES = "Label tables (*.json *.ctbl *.txt *.csv *.label *.nrrd *.gz *.nii);;All (*)"


class NamesPanel(Panel):
    """The table of one Labels layer."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.labels = combo("Whose names and codes are shown")
        self.labels.activated.connect(
            lambda _: session.naming.choose(self.labels.currentData() or "")
        )
        self.load = QPushButton("&Load table…")
        self.load.setToolTip(
            "Names, colours and codes from a table of SegReview, 3D Slicer, ITK-SNAP or "
            "TotalSegmentator"
        )
        self.load.clicked.connect(self._ask_table)
        self.save = QPushButton("Save as &DICOM-SEG…")
        self.save.clicked.connect(self._ask_seg)
        self.deidentified = QCheckBox("De-identified")
        self.deidentified.setToolTip(
            "No name, number or date of the patient or the study; every UID is replaced "
            "by one made from it. Names of labels stay as they are"
        )
        self.hint = wrapped_label("names")
        self.table = table_widget()
        self._drawn: tuple[Label, ...] | None = None

        layout = column(self)
        rows = form()
        rows.addRow("Labels", self.labels)
        layout.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.load, stretch=1)
        buttons.addWidget(self.save, stretch=1)
        layout.addLayout(buttons)
        for part in (self.deidentified, self.hint, self.table):
            layout.addWidget(part)
        self.follow()

    def draw(self, state: State) -> None:
        naming, busy = self.session.naming, view(state).busy
        chosen = naming.chosen()
        fill(self.labels, ((ref.key, ref.name) for ref in state.labels), chosen)
        rows = naming.rows()
        for button in (self.load, self.save):
            button.setEnabled(bool(chosen) and not busy)
        self.save.setToolTip(
            "On the slices of the DICOM series that is chosen under Scan; each frame "
            "refers to its image. Read again and compared before it takes its place"
        )
        nothing = "The labels have no names." if chosen and not rows else ""
        say(self.hint, nothing or uncoded(rows))
        self.table.setVisible(bool(rows))
        if rows != self._drawn:
            self._drawn = rows
            fill_table(self.table, label_table(rows))

    def _ask_table(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load a label table", "", TABLES)
        if name:
            self.session.naming.load(Path(name))

    def _ask_seg(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save as DICOM-SEG", "labels.dcm", "DICOM-SEG (*.dcm)"
        )
        if name:
            self.session.naming.export(
                Path(name), deidentified=self.deidentified.isChecked()
            )
