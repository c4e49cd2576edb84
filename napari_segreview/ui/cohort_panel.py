"""Many cases: score them all, see the worst first, open one, write the report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_segreview.core.charts import ROW, box_chart
from napari_segreview.core.cohort import BOXES, box_words, case_table
from napari_segreview.core.cohort_state import CohortWish, standing
from napari_segreview.core.state import State, view
from napari_segreview.ui.form import (
    Panel,
    column,
    combo,
    fill,
    form,
    resample_box,
    say,
    tolerance_box,
    wrapped_label,
)
from napari_segreview.ui.path_row import PathRow
from napari_segreview.ui.picture import Picture
from napari_segreview.ui.table import RowTable, chosen_key, fill_table, table_widget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_segreview.core.cohort_state import Part, Sums
    from napari_segreview.core.session import Session

LIST = "case, prediction, reference and, if wanted, second, image"
PARTS: dict[Part, tuple[str, str]] = {
    "predictions": (
        "Predictions",
        f"A folder of labels to judge, a file a case; or a CSV list ({LIST})",
    ),
    "references": (
        "References",
        "A folder of labels to trust, under the same file names",
    ),
    "second": (
        "Second model",
        "If two models are compared: a folder of the other one's labels, same names",
    ),
    "images": (
        "Images",
        "What the labels were drawn on, to be shown with a case; same names. Scores need "
        "no images",
    ),
}


class CohortPanel(Panel):
    """Files, one button, the cases."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.paths: dict[Part, PathRow] = {
            part: PathRow(
                title,
                hover,
                partial(session.scoring.choose, part),
                LIST if part == "predictions" else "",
            )
            for part, (title, hover) in PARTS.items()
        }
        self.tolerance = tolerance_box(session.scoring.choose_tolerance)
        self.tolerance.setSuffix(" mm or px")
        self.resample = resample_box(session.scoring.choose_resample)
        self.models = tuple(
            combo(
                f"The model that made the {which}, for the report: its name and the hash "
                "of its weights"
            )
            for which in ("predictions", "second model's labels")
        )
        for box in self.models:
            box.activated.connect(self._models_chosen)
        self.names = _names_box(session)
        self.run = QPushButton("&Score cases")
        self.run.clicked.connect(session.scoring.score)
        self.open = QPushButton("&Open case")
        self.open.setToolTip(
            "Show the chosen case and compare it, the other layers hidden. The same by a "
            "double click on its row, or Enter"
        )
        self.open.clicked.connect(
            lambda: session.scoring.open_case(chosen_key(self.cases))
        )
        self.page = QPushButton("Report…")
        self.page.setToolTip("A page for a browser; CSV and JSON are written beside it")
        self.page.clicked.connect(self._ask_page)
        self.hint = wrapped_label("cohort")
        self.cases = RowTable(session.scoring.open_case)
        self.cases.setAccessibleName("Cases, the worst first")
        self.cases.itemSelectionChanged.connect(self._draw_buttons)
        self.structures, self.compared = table_widget(), table_widget()
        self.boxes = Picture(ROW)
        self.captions = {
            name: wrapped_label(name) for name in ("cases", "boxes", "compared", "sums")
        }
        self._drawn: tuple[object, ...] = ()
        self._lay_out()
        self.follow()

    def _lay_out(self) -> None:
        layout = column(self)
        rows = form()
        for part, (title, _) in PARTS.items():
            rows.addRow(title, self.paths[part])
        rows.addRow("Tolerance", self.tolerance)
        rows.addRow(self.resample)
        rows.addRow("Made by", self.models[0])
        rows.addRow("Second by", self.models[1])
        rows.addRow(self.names)
        layout.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, stretch=2)
        buttons.addWidget(self.open, stretch=1)
        buttons.addWidget(self.page, stretch=1)
        layout.addLayout(buttons)
        layout.addWidget(self.hint)
        shown: dict[str, QWidget] = {
            "cases": self.cases,
            "boxes": self.boxes,
            "compared": self.compared,
            "sums": self.structures,
        }
        for name, widget in shown.items():
            layout.addWidget(self.captions[name])
            layout.addWidget(widget)

    def draw(self, state: State) -> None:
        cohort, busy = state.cohort, view(state).busy
        offers = [("", "not known"), *((one.name, one.title) for one in state.offers)]
        for box, name in zip(self.models, cohort.wish.models, strict=True):
            fill(box, offers, name)
        self._draw_wish(cohort.wish, busy=busy)
        running = state.running is not None and state.running.kind == "cohort"
        say(self.hint, standing(cohort, is_running=running))
        drawn = (cohort.scores, cohort.sums)
        if drawn != self._drawn:
            self._drawn = drawn
            self.cases.fill(case_table(cohort.scores))
            self.cases.setVisible(bool(cohort.scores))
            said = "Cases, the worst first" if cohort.scores else ""
            say(self.captions["cases"], said)
            self._draw_sums(cohort.sums)
        self._draw_buttons()

    def _draw_wish(self, wish: CohortWish, *, busy: bool) -> None:
        for part, row in self.paths.items():
            row.show_path(getattr(wish, part))
            row.setEnabled(not busy and (part == "predictions" or not wish.is_list))
        with (
            QSignalBlocker(self.tolerance),
            QSignalBlocker(self.resample),
            QSignalBlocker(self.names),
        ):
            self.names.setChecked(wish.names)
            self.tolerance.setValue(wish.tolerance)
            self.resample.setChecked(wish.resample)
        self.tolerance.setEnabled(not busy)
        self.resample.setEnabled(not busy)
        self.run.setEnabled(not busy and not wish.missing)
        self.run.setToolTip(
            wish.missing
            or "Dice, NSD and HD95 of each structure of each case. Can be stopped; what "
            "is finished is kept"
        )

    def _draw_sums(self, sums: Sums | None) -> None:
        structures = bool(sums and sums.structures.rows)
        compared = bool(sums and sums.compared.rows)
        boxes = sums.boxes if sums else {}
        self.structures.setVisible(structures)
        self.compared.setVisible(compared)
        say(self.captions["sums"], "Structures over the cases" if structures else "")
        said = "Second against first model, paired by case" if compared else ""
        say(self.captions["compared"], said)
        say(self.captions["boxes"], f"Dice of the cases. {BOXES}" if boxes else "")
        if sums is not None:
            fill_table(self.structures, sums.structures)
            fill_table(self.compared, sums.compared)
        draw = partial(_boxes, boxes) if boxes else None
        self.boxes.show_chart(draw, box_words(boxes))

    def _draw_buttons(self) -> None:
        state = self.session.state
        busy = view(state).busy
        self.open.setEnabled(not busy and bool(chosen_key(self.cases)))
        self.page.setEnabled(not busy and state.cohort.sums is not None)

    def _models_chosen(self, _: int) -> None:
        first, second = (str(box.currentData()) for box in self.models)
        self.session.scoring.choose_models(first, second)

    def _ask_page(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Write a report", "cohort.html", "Web page (*.html)"
        )
        if name:
            self.session.scoring.write_report(Path(name))


def _names_box(session: Session) -> QCheckBox:
    box = QCheckBox("Names of the cases in the report")
    box.setToolTip(
        "They are those of files and may name a patient; off, cases are numbered"
    )
    box.toggled.connect(session.scoring.choose_names)
    return box


def _boxes(groups: Mapping[str, Sequence[float]], wide: int) -> str:
    return box_chart(groups, BOXES, wide)
