"""Choose a model and run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

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
    from napari_segreview.core.protocols import Offer
    from napari_segreview.core.session import Session

KEY = Qt.ItemDataRole.UserRole


class SegmentPanel(Panel):
    """Models (those that fit first), what the chosen one is, where it runs, and go."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.models = QListWidget()
        self.models.setToolTip(
            "Models; those that cannot read this scan are in italics"
        )
        self.models.setWordWrap(True)
        self.models.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.models.currentItemChanged.connect(self._chosen)
        self.about = wrapped_label("about")
        self.note = wrapped_label("note")
        self.device = combo("Where the model runs; a GPU is many times faster")
        self.device.activated.connect(
            lambda _: session.choose_device(self.device.currentData())
        )
        self.mirror = QCheckBox("Average mirrored views")
        self.mirror.setToolTip(
            "Runs the model on mirrored copies too and averages: a little better, "
            "two to four times as long"
        )
        self.mirror.toggled.connect(session.choose_mirror)
        self.run = QPushButton("&Segment")
        self.run.clicked.connect(session.segment)

        layout = column(self)
        layout.addWidget(self.models)
        layout.addWidget(self.about)
        layout.addWidget(self.note)
        rows = form()
        rows.addRow("Device", self.device)
        rows.addRow("", self.mirror)
        layout.addLayout(rows)
        layout.addWidget(self.run)
        self._drawn: tuple[Offer, ...] | None = None
        self.follow()

    def draw(self, state: State) -> None:
        shown = view(state)
        if state.offers != self._drawn:
            self._draw_models(state.offers)
        self._select(state.model)
        say(self.about, shown.offer.about if shown.offer else "")
        say(self.note, (shown.offer.reason or shown.offer.note) if shown.offer else "")
        fill(self.device, ((d.key, d.title) for d in state.devices), state.device)
        with QSignalBlocker(self.mirror):
            self.mirror.setChecked(state.mirror and shown.may_mirror)
        self.mirror.setEnabled(shown.may_mirror)
        self.run.setEnabled(shown.may_segment)
        self.run.setToolTip(
            shown.why_not_segment
            or "Labels appear as a new layer; the image is not changed"
        )

    def _draw_models(self, offers: tuple[Offer, ...]) -> None:
        self._drawn = offers
        with QSignalBlocker(self.models):
            self.models.clear()
            for offer in offers:
                fits = "" if not offer.reason else "  ·  does not fit"
                item = QListWidgetItem(f"{offer.title}  ·  {offer.kind}{fits}")
                item.setData(KEY, offer.name)
                item.setToolTip(offer.reason or offer.about)
                if offer.reason:  # slanted, yet one can choose it and read why
                    font = item.font()
                    font.setItalic(True)
                    item.setFont(font)
                self.models.addItem(item)
            rows = max(2, min(6, len(offers)))
            self.models.setFixedHeight(rows * (self.models.sizeHintForRow(0) + 2) + 8)

    def _select(self, name: str) -> None:
        with QSignalBlocker(self.models):
            for row in range(self.models.count()):
                item = self.models.item(row)
                if item is not None and item.data(KEY) == name:
                    self.models.setCurrentRow(row)
                    return
            self.models.setCurrentRow(-1)

    def _chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.session.choose_model(item.data(KEY))
