"""Several people's labels of one scan, held against each other; a model among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from napari_segreview.core.agreement import Plot, plots
from napari_segreview.core.charts import TALL
from napari_segreview.core.readers import RULE, pair_table, spread_table
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
from napari_segreview.ui.picture import Picture
from napari_segreview.ui.table import fill_table, table_widget

if TYPE_CHECKING:
    from napari_segreview.core.protocols import LayerRef
    from napari_segreview.core.session import Session
    from napari_segreview.core.study import Study

KEY = Qt.ItemDataRole.UserRole
ROWS = 5  # of the list, before it scrolls


class ReadersPanel(Panel):
    """Tick the layers, say which is a model's, compare."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.layers = QListWidget()
        self.layers.setToolTip("Tick the Labels layers to compare, two or more")
        self.layers.itemChanged.connect(lambda _: self._draw_choice(session.state))
        self.model = combo("The layer that a model made, if any")
        self.model.activated.connect(lambda _: self._draw_choice(session.state))
        self.run = QPushButton("Compare &readers")
        self.run.setToolTip("Dice, surface distances and volumes of each pair")
        self.run.clicked.connect(self._compare)
        self.consensus = QPushButton("Consensus")
        self.consensus.setToolTip(
            "Layers of the readers' majority, of STAPLE, and of where they disagree; the "
            "model has no say in it"
        )
        self.consensus.clicked.connect(
            lambda: session.reviewing.show_consensus(self._people())
        )
        self.hint = wrapped_label("readers")
        self.pairs, self.spread = table_widget(), table_widget()
        self.rule = wrapped_label("rule")
        self.plot = combo("Bland-Altman: whose volumes, and of what")
        self.plot.activated.connect(lambda _: self._draw_plot())
        self.chart = Picture(TALL)

        layout = column(self)
        layout.addWidget(self.layers)
        rows = form()
        rows.addRow("Model", self.model)
        layout.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, stretch=1)
        buttons.addWidget(self.consensus, stretch=1)
        layout.addLayout(buttons)
        parts = (self.hint, self.pairs, self.spread, self.rule, self.plot, self.chart)
        for part in parts:
            layout.addWidget(part)
        self._plots: tuple[Plot, ...] = ()
        self._drawn: Study | None = None
        self._listed: tuple[LayerRef, ...] | None = None
        self._draw_study(None)
        self.follow()

    def draw(self, state: State) -> None:
        if state.labels != self._listed:  # not from within a signal of its own item
            self._listed = state.labels
            self._fill_layers(state)
        self._draw_choice(state)
        if state.study is not self._drawn:
            self._drawn = state.study
            self._draw_study(state.study)

    def _draw_choice(self, state: State) -> None:
        chosen = self._chosen()
        entries = [(ref.key, ref.name) for ref in state.labels if ref.key in chosen]
        model = self.model.currentData() or ""
        fill(self.model, [("", "none"), *entries], model if model in chosen else "")
        enough = len(self._people()) >= 2
        for button in (self.run, self.consensus):
            button.setEnabled(enough and not view(state).busy)
        say(self.hint, "" if enough else "Tick two readers or more, beside the model.")

    def _fill_layers(self, state: State) -> None:
        """The open Labels layers; what was ticked stays so."""
        ticked = set(self._chosen())
        with QSignalBlocker(self.layers):
            self.layers.clear()
            for ref in state.labels:
                item = QListWidgetItem(ref.name)
                item.setData(KEY, ref.key)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                on = ref.key in ticked
                item.setCheckState(
                    Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
                )
                self.layers.addItem(item)
        rows = max(2, min(ROWS, self.layers.count()))
        self.layers.setFixedHeight(
            rows * (max(self.layers.sizeHintForRow(0), 18) + 2) + 8
        )

    def _draw_study(self, study: Study | None) -> None:
        has_model = study is not None and bool(study.model)
        self.pairs.setVisible(study is not None)
        self.spread.setVisible(has_model)
        say(self.rule, RULE if has_model else "")
        if study is not None:
            fill_table(self.pairs, pair_table(study))
            fill_table(self.spread, spread_table(study))
        self._plots = plots(study) if study is not None else ()
        self.plot.setVisible(bool(self._plots))
        titles = [(at, f"Volumes: {one.title}") for at, one in enumerate(self._plots)]
        fill(self.plot, titles, 0)
        self._draw_plot()

    def _draw_plot(self) -> None:
        at = self.plot.currentIndex()
        plot = self._plots[at] if 0 <= at < len(self._plots) else None
        self.chart.show_chart(plot.svg if plot else None, (plot.words,) if plot else ())

    def _chosen(self) -> list[str]:
        items = (self.layers.item(row) for row in range(self.layers.count()))
        return [
            str(item.data(KEY))
            for item in items
            if item is not None and item.checkState() == Qt.CheckState.Checked
        ]

    def _people(self) -> list[str]:
        """Whose consensus is looked for: the model has no say in it."""
        return [key for key in self._chosen() if key != self.model.currentData()]

    def _compare(self) -> None:
        model = self.model.currentData() or ""
        self.session.reviewing.compare_readers(self._chosen(), model)
