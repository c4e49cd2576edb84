"""The catalogue: search it, read what a system is, add a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_segreview.core.state import State, view
from napari_segreview.core.zoo_table import in_words, zoo_table
from napari_segreview.ui.form import Panel, column, say, wrapped_label
from napari_segreview.ui.table import chosen_key, fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.session import Session


class ModelsPanel(Panel):
    """Every system of the catalogue as a table, the chosen one in words below."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.words = QLineEdit()
        self.words.setPlaceholderText("Search: name, year, author, idea…")
        self.words.setClearButtonEnabled(True)
        self.words.setToolTip("Rows that have all the words, e.g. “attention 3D”")
        self.words.textChanged.connect(self._search)
        self.table = table_widget()
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.itemSelectionChanged.connect(self._chosen)
        self.about = wrapped_label("about")
        self.add = QPushButton("&Add a trained model…")
        self.add.setToolTip(
            "A folder with card.json and weights.safetensors, as training writes it; "
            "it is then in the Segment panel"
        )
        self.add.clicked.connect(self._ask_folder)

        layout = column(self)
        layout.addWidget(self.words)
        layout.addWidget(self.table)
        layout.addWidget(self.about)
        layout.addWidget(self.add)
        self._search("")
        self.follow()

    def draw(self, state: State) -> None:
        self.add.setEnabled(not view(state).busy)

    def _search(self, words: str) -> None:
        content = zoo_table(words)
        fill_table(self.table, content)
        if content.rows:
            self.table.selectRow(0)
            self._chosen()
        else:
            say(self.about, "No system has all these words.")

    def _chosen(self) -> None:
        name = chosen_key(self.table)
        say(self.about, "\n".join(in_words(name)) if name else "")

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add a trained model")
        if name:
            self.session.add_model(Path(name))
