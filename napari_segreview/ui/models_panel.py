"""The catalogue: search it, read what an entry is, add a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QTabBar,
    QWidget,
)

from napari_segreview.core.methods_table import method_in_words, methods_table
from napari_segreview.core.state import State, view
from napari_segreview.core.zoo_table import in_words, zoo_table
from napari_segreview.ui.form import Panel, column, say, wrapped_label
from napari_segreview.ui.table import chosen_key, fill_table, table_widget

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.core.session import Session
    from napari_segreview.core.table import Table


class Shown(NamedTuple):
    """One part of the catalogue."""

    title: str
    hover: str
    table: Callable[[str], Table]
    in_words: Callable[[str], tuple[str, ...]]
    nothing: str


PARTS = (
    Shown(
        "Systems",
        "Published nets",
        zoo_table,
        in_words,
        "No system has all these words.",
    ),
    Shown(
        "Ways of training",
        "Published methods beside whole masks and a loss",
        methods_table,
        method_in_words,
        "No way of training has all these words.",
    ),
)


class ModelsPanel(Panel):
    """A part of the catalogue as a table, the chosen entry in words below."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.part = QTabBar()
        self.part.setExpanding(False)
        self.part.setDrawBase(False)
        for at, part in enumerate(PARTS):
            self.part.addTab(part.title)
            self.part.setTabToolTip(at, part.hover)
        self.part.currentChanged.connect(lambda _: self._search(self.words.text()))
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
        layout.addWidget(self.part)
        layout.addWidget(self.words)
        layout.addWidget(self.table)
        layout.addWidget(self.about)
        layout.addWidget(self.add)
        self._search("")
        self.follow()

    def draw(self, state: State) -> None:
        self.add.setEnabled(not view(state).busy)

    def _search(self, words: str) -> None:
        part = PARTS[self.part.currentIndex()]
        content = part.table(words)
        fill_table(self.table, content)
        if content.rows:
            self.table.selectRow(0)
            self._chosen()
        else:
            say(self.about, part.nothing)

    def _chosen(self) -> None:
        name = chosen_key(self.table)
        part = PARTS[self.part.currentIndex()]
        say(self.about, "\n".join(part.in_words(name)) if name else "")

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add a trained model")
        if name:
            self.session.add_model(Path(name))
