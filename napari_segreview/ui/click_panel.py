"""Click to segment: the tools, the object, what the last click changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QWidget,
)

from napari_segreview.core.clicks import ClickView, click_view
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
    from napari_segreview.core.clicks import Clicks
    from napari_segreview.core.session import Session
    from napari_segreview.core.state import State

TOOLS = {  # tool → what its button says, and its help
    "point": (
        "● &Point  P",
        "Click the structure; right-click, or Ctrl, what is not it",
    ),
    "box": ("▭ &Box  B", "Drag a rectangle round the structure"),
    "scribble": (
        "✎ &Scribble  S",
        "Drag along the structure; right button: what is not",
    ),
    "lasso": ("◌ &Lasso  L", "Drag a closed curve round the structure"),
}
SIGNS = {
    True: ("+ belongs", "The next mark belongs to the structure"),
    False: ("− does not", "The next mark does not belong to it"),
}
SWATCH = 14  # pixels


class ClickPanel(Panel):
    """Buttons for all that mouse and keys do on the image."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        clicking = session.clicking
        self.tools = {tool: _toggle(text, tip) for tool, (text, tip) in TOOLS.items()}
        for tool, button in self.tools.items():
            button.clicked.connect(partial(self._tool, tool))
        self.signs = {sign: _toggle(text, tip) for sign, (text, tip) in SIGNS.items()}
        group = QButtonGroup(self)
        for sign, button in self.signs.items():
            group.addButton(button)
            button.clicked.connect(partial(self._sign, sign))
        self.label = combo("The label that the object becomes when it is accepted")
        self.label.activated.connect(
            lambda _: clicking.choose_label(self.label.currentData())
        )
        self.new = _button("&New…", "Make a label with a name of its own")
        self.new.clicked.connect(self._ask_name)
        self.mend = _button(
            "&Mend", "Take the chosen label up again: clicks add to it and cut from it"
        )
        self.mend.clicked.connect(lambda: clicking.take_up(session.state.clicks.label))
        self.line = wrapped_label("clicked")
        self.undo = _button("Undo  Ctrl+Z", "Take the last click back, in any slice")
        self.undo.clicked.connect(clicking.undo)
        self.redo = _button("Redo  Ctrl+Shift+Z", "Do again what was undone")
        self.redo.clicked.connect(clicking.redo)
        self.reset = _button("Reset  R", "Take all clicks of this object back")
        self.reset.clicked.connect(clicking.reset)
        self.through = _button("Through slices ↕", "")
        self.through.clicked.connect(clicking.through)
        self.whole = QCheckBox("In &3D: the whole structure at once")
        self.whole.setToolTip(
            "A point or a scribble finds the structure in all slices, not only in the one "
            "it lies in"
        )
        self.whole.toggled.connect(clicking.choose_whole)
        self.protect = QCheckBox("Protect &finished labels")
        self.protect.setToolTip("Voxels that have another label already keep it")
        self.protect.toggled.connect(clicking.choose_protect)
        self.accept = _button(
            "&Accept  ⏎",
            "Write it into the labels that are corrected; Ctrl+Z on them takes it back",
        )
        self.accept.clicked.connect(clicking.accept)
        self._drawn: tuple[object, ...] = ()
        self._lay_out()
        self.follow()

    def _lay_out(self) -> None:
        tools = QGridLayout()
        for at, button in enumerate(self.tools.values()):
            tools.addWidget(button, at // 2, at % 2)
        for at, button in enumerate(self.signs.values()):
            tools.addWidget(button, 2, at)
        choice = QHBoxLayout()
        choice.addWidget(self.label, stretch=1)
        choice.addWidget(self.new)
        choice.addWidget(self.mend)
        rows = form()
        rows.addRow("Object", choice)
        steps = QGridLayout()
        for at, button in enumerate((self.undo, self.redo, self.reset, self.through)):
            steps.addWidget(button, at // 2, at % 2)
        layout = column(self)
        layout.addLayout(tools)
        layout.addWidget(self.whole)
        layout.addLayout(rows)
        layout.addWidget(self.line)
        layout.addLayout(steps)
        layout.addWidget(self.protect)
        layout.addWidget(self.accept)

    def draw(self, state: State) -> None:
        clicks = state.clicks
        grid = state.scan.grid if state.scan else None
        drawn = (clicks, grid, state.running is None)
        if drawn == self._drawn:  # counting voxels again at each step of a job is waste
            return
        self._drawn = drawn
        shown = click_view(clicks, grid, busy=state.running is not None)
        for tool, button in self.tools.items():
            button.setChecked(clicks.on and clicks.tool == tool)
            button.setEnabled(grid is not None)
        for sign, button in self.signs.items():
            button.setChecked(clicks.positive == sign)
            button.setText(SIGNS[sign][0] + ("" if clicks.positive == sign else "  T"))
        self._draw_choices(clicks, shown)
        say(self.line, shown.line or _hint(clicks))
        self._enable(shown)
        with QSignalBlocker(self.protect), QSignalBlocker(self.whole):
            self.protect.setChecked(clicks.protect)
            self.whole.setChecked(clicks.whole)
        self.whole.setEnabled(shown.may_whole)

    def _enable(self, shown: ClickView) -> None:
        self.undo.setEnabled(shown.may_undo)
        self.redo.setEnabled(shown.may_redo)
        self.reset.setEnabled(shown.may_reset)
        self.accept.setEnabled(shown.may_accept)
        self.mend.setEnabled(not shown.may_undo)
        self.through.setEnabled(shown.may_through)
        self.through.setToolTip(
            shown.why_not_through
            or "Find it in the slices between and beyond those clicked; look at them "
            "before you accept"
        )

    def _draw_choices(self, clicks: Clicks, shown: ClickView) -> None:
        entries = [(value, f"{value}: {name}") for value, name in shown.choices]
        there = [
            (self.label.itemData(n), self.label.itemText(n))
            for n in range(self.label.count())
        ]
        if entries == there:  # there may be thousands
            with QSignalBlocker(self.label):
                self.label.setCurrentIndex(self.label.findData(clicks.label))
            return
        fill(self.label, entries, clicks.label)
        for row, (value, _) in enumerate(entries):
            self.label.setItemIcon(row, _swatch(clicks.table.color(value)))

    def _tool(self, tool: str, checked: bool) -> None:
        """A tool that is pressed again is put down."""
        if checked:
            self.session.clicking.choose_tool(tool)  # type: ignore[arg-type]
        else:
            self.session.clicking.leave()

    def _sign(self, positive: bool, _: bool) -> None:
        self.session.clicking.choose_sign(positive)

    def _ask_name(self) -> None:
        name, wanted = QInputDialog.getText(self, "New label", "Its name:")
        if wanted:
            self.session.clicking.new_label(name)


def _hint(clicks: Clicks) -> str:
    """What to do before the first click."""
    if not clicks.on:
        return "Choose a tool, then click on the image."
    return "On the image: left marks what belongs, right or Ctrl what does not. Esc leaves."


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def _toggle(text: str, tip: str) -> QPushButton:
    button = _button(text, tip)
    button.setCheckable(True)
    return button


def _swatch(color: tuple[float, float, float]) -> QIcon:
    pixels = QPixmap(SWATCH, SWATCH)
    pixels.fill(QColor.fromRgbF(*color))
    return QIcon(pixels)
